"""what programs may reach, caps of spending, tasks that are parked"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from common import database

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_LONG_TEXT = sa.UnicodeText().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")

_ADDED: dict[str, list[sa.Column[Any]]] = {
    # A project that is there keeps the network that its programs had.
    "projects": [sa.Column("egress", sa.String(16), server_default="open", nullable=False)],
    "agents": [sa.Column("sandbox", database.JsonText())],
    "runs": [
        sa.Column("limited_until", database.UtcDateTime()),
        sa.Column("limit_reason", sa.UnicodeText()),
    ],
    "tasks": [
        sa.Column("parked_until", database.UtcDateTime()),
        sa.Column("parked_code", sa.String(16)),
        sa.Column("parked_reason", _LONG_TEXT),
    ],
    "model_providers": [
        sa.Column("fallback", sa.String(40)),
        sa.Column("fallback_model", sa.String(100)),
    ],
}
_FILLED = {
    "projects": {"egress_hosts": "[]", "caps": "{}"},
    "tasks": {"caps": "{}"},
}


def upgrade() -> None:
    op.create_table(
        "platform_settings",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", database.JsonText(), nullable=False),
        sa.Column("changed_by", sa.String(140), nullable=False),
        sa.Column("changed_at", database.UtcDateTime(), nullable=False),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "spend_counters",
        sa.Column("scope", sa.String(16), primary_key=True),
        sa.Column("subject_id", sa.String(40), primary_key=True),
        sa.Column("period", sa.String(10), primary_key=True),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_usd", sa.Double(), nullable=False),
        sa.Column("warned", database.JsonText(), nullable=False),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    for table, columns in _ADDED.items():
        with op.batch_alter_table(table, recreate="never") as batch_op:
            for column in columns:
                batch_op.add_column(column)
    for table, names in _FILLED.items():
        with op.batch_alter_table(table, recreate="never") as batch_op:
            for name, text in names.items():
                # SQLite takes no expression for rows that are there, MySQL nothing but one.
                value = sa.text(f"'{text}'" if op.get_bind().dialect.name == "sqlite" else f"('{text}')")
                batch_op.add_column(sa.Column(name, database.JsonText(), server_default=value, nullable=False))
    op.create_index("ix_tasks_parked_until", "tasks", ["parked_until"])


def downgrade() -> None:
    # Column by column: what alembic calls a batch makes the table anew on SQLite, with all that refers to it.
    op.drop_index("ix_tasks_parked_until", "tasks")
    for table, names in _FILLED.items():
        for column_name in names:
            op.drop_column(table, column_name)
    for table, columns in _ADDED.items():
        for column in columns:
            op.drop_column(table, column.name)
    for table in ("spend_counters", "platform_settings"):
        op.drop_table(table)
