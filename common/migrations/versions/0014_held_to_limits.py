"""what programs may reach, caps of spending, tasks that are parked"""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from common.database import engines

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_LONG_TEXT = sa.UnicodeText().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")

_ADDED: dict[str, list[sa.Column[Any]]] = {
    # A project that is there keeps the network that its programs had.
    "projects": [sa.Column("egress", sa.String(16), server_default="open", nullable=False)],
    "agents": [sa.Column("sandbox", engines.JsonText())],
    "runs": [
        sa.Column("limited_until", engines.UtcDateTime()),
        sa.Column("limit_reason", sa.UnicodeText()),
        sa.Column("has_written", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("stop_reason", sa.UnicodeText()),
    ],
    "tasks": [
        sa.Column("parked_until", engines.UtcDateTime()),
        sa.Column("parked_code", sa.String(16)),
        sa.Column("parked_reason", _LONG_TEXT),
    ],
    "model_providers": [
        sa.Column("fallback", sa.String(40)),
        sa.Column("fallback_model", sa.String(100)),
    ],
}
_CALLS = sa.table(
    "model_calls",
    sa.column("task_id", sa.String()),
    sa.column("project_id", sa.String()),
    sa.column("input_tokens", sa.BigInteger()),
    sa.column("cache_write_tokens", sa.BigInteger()),
    sa.column("output_tokens", sa.BigInteger()),
    sa.column("cost_usd", sa.Double()),
    sa.column("at", engines.UtcDateTime()),
)
_RUNS = sa.table(
    "runs",
    sa.column("task_id", sa.String()),
    sa.column("project_id", sa.String()),
    sa.column("started_at", engines.UtcDateTime()),
    sa.column("finished_at", engines.UtcDateTime()),
)
_COUNTERS = sa.table(
    "spend_counters",
    *(sa.column(name) for name in ("scope", "subject_id", "period", "tokens", "cost_usd", "seconds", "runs")),
    sa.column("warned", engines.JsonText()),
)
_FILLED = {
    "projects": {"egress_hosts": "[]", "caps": "{}"},
    "tasks": {"caps": "{}"},
}


def upgrade() -> None:
    op.create_table(
        "platform_settings",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", engines.JsonText(), nullable=False),
        sa.Column("changed_by", sa.String(140), nullable=False),
        sa.Column("changed_at", engines.UtcDateTime(), nullable=False),
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
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        sa.Column("warned", engines.JsonText(), nullable=False),
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
                batch_op.add_column(sa.Column(name, engines.JsonText(), server_default=value, nullable=False))
    op.create_index("ix_tasks_parked_until", "tasks", ["parked_until"])
    _count_what_was_spent()


def _count_what_was_spent() -> None:
    """Begin the totals with what the calls and runs that are there have used: in all, and today."""
    connection = op.get_bind()
    sums: dict[tuple[str, str, str], list[float]] = {}

    def add(task_id: str, project_id: str, period: str, values: tuple[float, ...]) -> None:
        of_task = [("task", task_id, period)] if period == "all" else []
        for key in [*of_task, ("project", project_id, period), ("platform", "", period)]:
            sums[key] = [sum(pair) for pair in zip(sums.get(key, [0, 0, 0, 0]), values, strict=True)]

    midnight = datetime.combine(datetime.now(UTC).date(), time(), UTC)
    used = _CALLS.c.input_tokens + _CALLS.c.cache_write_tokens + _CALLS.c.output_tokens
    calls = sa.select(_CALLS.c.task_id, _CALLS.c.project_id, sa.func.sum(used), sa.func.sum(_CALLS.c.cost_usd))
    calls = calls.group_by(_CALLS.c.task_id, _CALLS.c.project_id)
    today = midnight.date().isoformat()
    for period, chosen in (("all", calls), (today, calls.where(_CALLS.c.at >= midnight))):
        for task_id, project_id, tokens, cost in connection.execute(chosen):
            add(task_id, project_id, period, (int(tokens), float(cost or 0), 0, 0))
    runs = sa.select(_RUNS.c.task_id, _RUNS.c.project_id, _RUNS.c.started_at, _RUNS.c.finished_at)
    for task_id, project_id, started_at, finished_at in connection.execute(runs.where(_RUNS.c.started_at.is_not(None))):
        # A run without an end is still at work: its time is counted when it ends.
        seconds = max(0.0, (finished_at - started_at).total_seconds()) if finished_at is not None else 0.0
        add(task_id, project_id, "all", (0, 0, seconds, 1))
        if started_at >= midnight:
            add(task_id, project_id, today, (0, 0, seconds, 1))
    for (scope, subject_id, period), (tokens, cost, seconds, count) in sums.items():
        values = {"tokens": int(tokens), "cost_usd": cost, "seconds": seconds, "runs": int(count), "warned": []}
        key = {"scope": scope, "subject_id": subject_id, "period": period}
        connection.execute(_COUNTERS.insert().values({**key, **values}))


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
