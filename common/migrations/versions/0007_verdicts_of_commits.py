"""verdicts of commits, and pushes that a group left out"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from common.database import engines

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "commit_verdicts",
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("commit_sha", sa.String(length=40), nullable=False),
        sa.Column("command_digest", sa.String(length=64), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.UnicodeText(), nullable=True),
        sa.Column(
            "log",
            sa.UnicodeText().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.Column("at", engines.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "commit_sha", "command_digest"),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("tasks", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("later_push", sa.String(length=40), nullable=True))


def downgrade() -> None:
    op.drop_column("tasks", "later_push")
    op.drop_table("commit_verdicts")
