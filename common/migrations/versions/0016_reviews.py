"""comments on ranges and on either side, drafts of reviews"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from common.database import engines

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_LONG_TEXT = sa.UnicodeText().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_ADDED = ("start_line", "side", "commit_sha")


def upgrade() -> None:
    # A comment that is there stays one on a single line of the new version, and its commit is unknown.
    with op.batch_alter_table("comments", recreate="never") as batch:
        batch.add_column(sa.Column("start_line", sa.Integer()))
        batch.add_column(sa.Column("side", sa.String(3)))
        batch.add_column(sa.Column("commit_sha", sa.String(40)))
    op.create_table(
        "pending_comments",
        sa.Column("task_id", sa.String(40), nullable=False),
        sa.Column("user_id", sa.String(40), nullable=False),
        sa.Column("body", _LONG_TEXT, nullable=False),
        sa.Column("path", sa.String(1000)),
        sa.Column("line", sa.Integer()),
        sa.Column("start_line", sa.Integer()),
        sa.Column("side", sa.String(3)),
        sa.Column("commit_sha", sa.String(40)),
        sa.Column("created_at", engines.UtcDateTime(), nullable=False),
        sa.Column("updated_at", engines.UtcDateTime(), nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index("ix_pending_comments_draft", "pending_comments", ["task_id", "user_id"])
    op.create_index("ix_pending_comments_user_id", "pending_comments", ["user_id"])


def downgrade() -> None:
    op.drop_table("pending_comments")
    for name in _ADDED:
        op.drop_column("comments", name)
