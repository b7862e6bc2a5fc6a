"""flaky tests, a red default branch, and how often a commit was tested"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from common.database import engines

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_LONG_TEXT = sa.UnicodeText().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_OPTIONS: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    op.create_table(
        "flaky_tests",
        sa.Column("project_id", sa.String(40), sa.ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name_digest", sa.String(64), primary_key=True),
        sa.Column("name", sa.UnicodeText(), nullable=False),
        sa.Column("flaked_on", sa.Integer(), nullable=False),
        sa.Column("ran_on", sa.Integer(), nullable=False),
        sa.Column("last_at", engines.UtcDateTime()),
        sa.Column("last_sha", sa.String(40)),
        sa.Column("quarantined_until", engines.UtcDateTime()),
        sa.Column("quarantined_by", sa.String(140)),
        sa.Column("quarantine_reason", sa.UnicodeText()),
        **_OPTIONS,
    )
    with op.batch_alter_table("projects", recreate="never") as batch:
        batch.add_column(sa.Column("most_quarantined", sa.Integer(), nullable=False, server_default="5"))
        batch.add_column(sa.Column("red_base", engines.JsonText()))
    with op.batch_alter_table("tested_commits", recreate="never") as batch:
        batch.add_column(sa.Column("runs", sa.Integer(), nullable=False, server_default="1"))
        batch.add_column(sa.Column("reason", sa.UnicodeText()))
        batch.add_column(sa.Column("log", _LONG_TEXT))


def downgrade() -> None:
    for column in ("log", "reason", "runs"):
        op.drop_column("tested_commits", column)
    op.drop_column("projects", "red_base")
    op.drop_column("projects", "most_quarantined")
    op.drop_table("flaky_tests")
