"""the outgoing webhook: its deliveries, and how far it has read; the traces of jobs and tasks"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from common.database import engines

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_LONG_TEXT = sa.UnicodeText().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_OPTIONS: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("project_id", sa.String(40)),
        sa.Column("body", _LONG_TEXT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", engines.UtcDateTime()),
        sa.Column("last_status", sa.Integer()),
        sa.Column("last_answer", sa.UnicodeText()),
        sa.Column("error", sa.UnicodeText()),
        sa.Column("created_at", engines.UtcDateTime(), nullable=False),
        sa.Column("delivered_at", engines.UtcDateTime()),
        sa.Column("given_up_at", engines.UtcDateTime()),
        **_OPTIONS,
    )
    op.create_index("ix_webhook_deliveries_next", "webhook_deliveries", ["next_at"])
    op.create_index("ix_webhook_deliveries_created", "webhook_deliveries", ["created_at", "id"])
    op.create_table(
        "webhook_positions",
        sa.Column("feed_id", sa.String(40), primary_key=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        **_OPTIONS,
    )
    # What is queued already belongs to no trace.
    for table in ("jobs", "tasks"):
        with op.batch_alter_table(table, recreate="never") as batch:
            batch.add_column(sa.Column("trace_parent", sa.String(55)))


def downgrade() -> None:
    # What alembic calls a batch would make the table anew on SQLite, with all that refers to it.
    for table in ("jobs", "tasks"):
        op.drop_column(table, "trace_parent")
    op.drop_table("webhook_positions")
    op.drop_table("webhook_deliveries")
