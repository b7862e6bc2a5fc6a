"""which tests ran on a commit, and what a project does about lost ones"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from common.database import engines
from common.migrations.repeated import has_column

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_LONG_TEXT = sa.UnicodeText().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_OPTIONS: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    op.create_table(
        "tested_commits",
        sa.Column("project_id", sa.String(40), primary_key=True),
        sa.Column("commit_sha", sa.String(40), primary_key=True),
        sa.Column("command_digest", sa.String(64), primary_key=True),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("report", _LONG_TEXT),
        sa.Column("problem", sa.UnicodeText()),
        sa.Column("at", engines.UtcDateTime(), nullable=False),
        **_OPTIONS,
    )
    op.create_index("ix_tested_commits_at", "tested_commits", ["at"])
    with op.batch_alter_table("projects", recreate="never") as batch:
        batch.add_column(sa.Column("tests_lost", sa.String(8), nullable=False, server_default="refuse"))
        # Existing projects keep their behaviour: nobody is told about new tests unless the project asks for it.
        batch.add_column(sa.Column("tests_first", sa.String(8), nullable=False, server_default="off"))
        batch.add_column(sa.Column("test_report", sa.String(200)))
    # What was allowed to lose tests is told about them now, and still not refused.
    # On MariaDB, an upgrade that was interrupted after this column was dropped begins the migration anew.
    if has_column("projects", "keep_tests"):
        op.execute(sa.text("UPDATE projects SET tests_lost = 'warn' WHERE NOT keep_tests"))
    op.drop_column("projects", "keep_tests")
    for table, column, text in (("tasks", "accepted_losses", "[]"), ("task_checks", "facts", "{}")):
        # SQLite takes no expression for rows that are there, MySQL nothing but one.
        empty = sa.text(f"'{text}'" if op.get_bind().dialect.name == "sqlite" else f"('{text}')")
        with op.batch_alter_table(table, recreate="never") as batch:
            batch.add_column(sa.Column(column, engines.JsonText(), nullable=False, server_default=empty))


def downgrade() -> None:
    op.drop_column("task_checks", "facts")
    op.drop_column("tasks", "accepted_losses")
    with op.batch_alter_table("projects", recreate="never") as batch:
        batch.add_column(sa.Column("keep_tests", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.execute(sa.text("UPDATE projects SET keep_tests = 0 WHERE tests_lost = 'warn'"))
    for column in ("test_report", "tests_first", "tests_lost"):
        op.drop_column("projects", column)
    op.drop_table("tested_commits")
