"""drivers, model providers and their calls, numbered transcripts, attachments, proposals, rules of questions"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from common.database import engines

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_LONG_TEXT = sa.UnicodeText().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_BLOB = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")

_ADDED: dict[str, list[sa.Column[Any]]] = {
    "agents": [sa.Column("error", sa.UnicodeText())],
    "log_entries": [
        sa.Column("number", sa.BigInteger()),
        sa.Column("call_id", sa.String(100)),
        sa.Column("details", engines.JsonText()),
    ],
    "projects": [
        sa.Column("driver", sa.String(40)),
        sa.Column("model", sa.String(100)),
        sa.Column("setup_command", sa.UnicodeText()),
    ],
    "questions": [
        sa.Column("is_blocking", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("default_response", _LONG_TEXT),
        sa.Column("deadline_at", engines.UtcDateTime()),
        sa.Column("remind_at", engines.UtcDateTime()),
        sa.Column("escalated_to", sa.String(140)),
    ],
    "run_sessions": [sa.Column("driver", sa.String(40))],
    "runs": [
        sa.Column("driver", sa.String(40)),
        sa.Column("model", sa.String(100)),
        sa.Column("model_digest", sa.String(64)),
        sa.Column("entries_received", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    ],
    "tasks": [
        sa.Column("model", sa.String(100)),
        sa.Column("held_by", sa.String(140)),
        sa.Column("held_by_id", sa.String(40)),
    ],
}
_FILLED = {
    "agents": {"drivers": "[]", "findings": "[]"},
    "projects": {"cache_paths": "[]", "services": "[]", "question_rules": "{}"},
}
_INDEXES = (
    ("ix_questions_deadline_at", "questions", ["deadline_at"], False),
    ("ix_questions_remind_at", "questions", ["remind_at"], False),
    ("ix_runs_model_digest", "runs", ["model_digest"], True),
)


def upgrade() -> None:
    _create_tables()
    for table, columns in _ADDED.items():
        with op.batch_alter_table(table, recreate="never") as batch_op:
            for column in columns:
                batch_op.add_column(column)
    for table, names in _FILLED.items():
        with op.batch_alter_table(table, recreate="never") as batch_op:
            for name, text in names.items():
                # SQLite takes no expression for rows that are there, MySQL nothing but one.
                value = sa.text(f"'{text}'" if op.get_bind().dialect.name == "sqlite" else f"('{text}')")
                batch_op.add_column(sa.Column(name, engines.JsonText(), server_default=value, nullable=False))
    for name, table, columns_of, is_unique in _INDEXES:
        op.create_index(name, table, columns_of, unique=is_unique)
    _name_drivers()


def _name_drivers() -> None:
    """An agent that named one driver has that one."""
    agents = sa.table(
        "agents", sa.column("id", sa.String), sa.column("driver", sa.String), sa.column("drivers", sa.Text)
    )
    connection = op.get_bind()
    for agent_id, driver in connection.execute(sa.select(agents.c.id, agents.c.driver)).all():
        named = json.dumps([driver])
        connection.execute(agents.update().where(agents.c.id == agent_id).values(drivers=named))


def downgrade() -> None:
    # Column by column: what alembic calls a batch makes the table anew on SQLite, with all that refers to it.
    for name, table, _columns, _is_unique in _INDEXES:
        op.drop_index(name, table)
    for table, names in _FILLED.items():
        for column_name in names:
            op.drop_column(table, column_name)
    for table, columns in _ADDED.items():
        for column in columns:
            op.drop_column(table, column.name)
    for table in ("proposals", "attachments", "model_providers", "model_calls"):
        op.drop_table(table)


def _create_tables() -> None:
    op.create_table(
        "model_calls",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("task_id", sa.String(40), nullable=False),
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("person", sa.String(140), nullable=False),
        sa.Column("driver", sa.String(40)),
        sa.Column("provider", sa.String(40), nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_usd", sa.Double()),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("error", _LONG_TEXT),
        sa.Column("first_byte_ms", sa.Integer()),
        sa.Column("took_ms", sa.BigInteger(), nullable=False),
        sa.Column("at", engines.UtcDateTime(), nullable=False),
        sa.Index("ix_model_calls_run", "run_id", "id"),
        sa.Index("ix_model_calls_task", "task_id", "id"),
        sa.Index("ix_model_calls_project_at", "project_id", "at"),
        sa.Index("ix_model_calls_at", "at"),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "model_providers",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(40), nullable=False, unique=True),
        sa.Column("api", sa.String(16), nullable=False),
        sa.Column("base_url", sa.String(500), nullable=False),
        sa.Column("login", sa.String(16), nullable=False),
        sa.Column("key_sealed", sa.UnicodeText()),
        sa.Column("models", engines.JsonText(), nullable=False),
        sa.Column("prices", engines.JsonText(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(140), nullable=False),
        sa.Column("created_at", engines.UtcDateTime(), nullable=False),
        sa.Column("updated_at", engines.UtcDateTime(), nullable=False),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "attachments",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("task_id", sa.String(40), sa.ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("content", _BLOB, nullable=False),
        sa.Column("added_by", sa.String(140), nullable=False),
        sa.Column("added_at", engines.UtcDateTime(), nullable=False),
        sa.UniqueConstraint("task_id", "name", name="uq_attachments_name"),
        sa.Index("ix_attachments_task_id", "task_id"),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "proposals",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("task_id", sa.String(40), sa.ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("description", _LONG_TEXT, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_task_id", sa.String(40)),
        sa.Column("decided_by", sa.String(140)),
        sa.Column("created_at", engines.UtcDateTime(), nullable=False),
        sa.Column("decided_at", engines.UtcDateTime()),
        sa.UniqueConstraint("task_id", "fingerprint", name="uq_proposals_same"),
        sa.Index("ix_proposals_task_id", "task_id"),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
