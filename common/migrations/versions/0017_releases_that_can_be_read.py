"""test runs of groups with their logs, health over time, and numbers of versions"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from common.database import engines

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_LONG = sa.UnicodeText().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql")
_DEPLOYMENTS = sa.table(
    "deployments",
    sa.column("id", sa.String),
    sa.column("project_id", sa.String),
    sa.column("app_name", sa.String),
    sa.column("environment", sa.String),
    sa.column("commit_sha", sa.String),
    sa.column("rollback_of", sa.String),
    sa.column("was_healthy", sa.Boolean),
    sa.column("created_at", engines.UtcDateTime),
    sa.column("version", sa.Integer),
)


def upgrade() -> None:
    op.create_table(
        "group_tests",
        sa.Column("id", sa.String(length=40), primary_key=True),
        sa.Column(
            "group_id", sa.String(length=40), sa.ForeignKey("task_groups.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.String(length=40), nullable=True),
        sa.Column("commit_sha", sa.String(length=40), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("is_known", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.UnicodeText(), nullable=True),
        sa.Column("log", _LONG, nullable=False),
        sa.Column("at", engines.UtcDateTime(), nullable=False),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index("ix_group_tests_group", "group_tests", ["group_id", "id"])
    op.create_table(
        "health_spans",
        sa.Column("id", sa.String(length=40), primary_key=True),
        sa.Column("project_id", sa.String(length=40), sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("app_name", sa.String(length=63), nullable=False),
        sa.Column("deployment_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.UnicodeText(), nullable=True),
        sa.Column("restarts", sa.Integer(), nullable=False),
        sa.Column("since", engines.UtcDateTime(), nullable=False),
        sa.Column("until", engines.UtcDateTime(), nullable=False),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index("ix_health_spans_app", "health_spans", ["project_id", "app_name", "id"])
    with op.batch_alter_table("deployments", recreate="never") as batch:
        batch.add_column(sa.Column("version", sa.Integer(), nullable=True))
    _number_versions()


def _number_versions() -> None:
    """Versions that were healthy are numbered as they would have been when they went live."""
    rows = op.get_bind().execute(
        sa.select(_DEPLOYMENTS)
        .where(_DEPLOYMENTS.c.was_healthy.is_(True), _DEPLOYMENTS.c.environment != "preview")
        .order_by(_DEPLOYMENTS.c.created_at, _DEPLOYMENTS.c.id)
    )
    highest: dict[tuple[str, str], int] = {}
    of_commit: dict[tuple[str, str, str], int] = {}
    for row in rows.all():
        app = (row.project_id, row.app_name)
        if row.rollback_of is None:
            highest[app] = of_commit[*app, row.commit_sha] = highest.get(app, 0) + 1
        number = of_commit.get((*app, row.commit_sha))
        op.execute(_DEPLOYMENTS.update().where(_DEPLOYMENTS.c.id == row.id).values(version=number))


def downgrade() -> None:
    op.drop_column("deployments", "version")
    op.drop_table("health_spans")
    op.drop_table("group_tests")
