"""pictures of previews"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from common.database import engines

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_BLOB = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")


def upgrade() -> None:
    # Tasks that are ready to test already have no picture until their next proof.
    op.create_table(
        "preview_pictures",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("task_id", sa.String(40), sa.ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("commit_sha", sa.String(40), nullable=False),
        sa.Column("pictured_sha", sa.String(40), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("content", _BLOB),
        sa.Column("problem", sa.String(500)),
        sa.Column("taken_at", engines.UtcDateTime(), nullable=False),
        sa.Column("shown_at", engines.UtcDateTime()),
        sa.UniqueConstraint("task_id", "kind", name="uq_preview_pictures_kind"),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index("ix_preview_pictures_taken_at", "preview_pictures", ["taken_at"])


def downgrade() -> None:
    op.drop_table("preview_pictures")
