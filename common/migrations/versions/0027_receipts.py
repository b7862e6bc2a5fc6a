"""receipts of what went to production, seals of the audit, and what a receipt has to name"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from common.database import engines

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_LONG_TEXT = sa.UnicodeText().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_OPTIONS: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    # What is in production already has no receipt: nobody vouched for it when it went there. Older events have no seal
    # until the sweep makes the first one.
    op.create_table(
        "receipts",
        sa.Column("project_id", sa.String(40), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("commit_sha", sa.String(40), nullable=False),
        sa.Column("deployment_id", sa.String(40), nullable=False),
        sa.Column("envelope", _LONG_TEXT, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("at", engines.UtcDateTime(), nullable=False),
        sa.UniqueConstraint("deployment_id", name="uq_receipts_deployment"),
        **_OPTIONS,
    )
    op.create_index("ix_receipts_commit", "receipts", ["commit_sha", "project_id", "number"])
    op.create_table(
        "audit_seals",
        sa.Column("feed_id", sa.String(40), primary_key=True),
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("envelope", _LONG_TEXT, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("at", engines.UtcDateTime(), nullable=False),
        **_OPTIONS,
    )
    with op.batch_alter_table("runs", recreate="never") as batch:
        batch.add_column(sa.Column("prompt_digest", sa.String(64)))
        batch.add_column(sa.Column("fresh_prompt_digest", sa.String(64)))
    with op.batch_alter_table("tasks", recreate="never") as batch:
        batch.add_column(sa.Column("approved_at", engines.UtcDateTime()))


def downgrade() -> None:
    op.drop_column("tasks", "approved_at")
    op.drop_column("runs", "fresh_prompt_digest")
    op.drop_column("runs", "prompt_digest")
    op.drop_table("audit_seals")
    op.drop_table("receipts")
