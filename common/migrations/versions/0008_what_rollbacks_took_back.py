"""what rollbacks took back"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from common.database import engines
from common.migrations.repeated import has_column

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_COLUMNS = {
    "deployments": ("taken_back_at",),
    "tasks": ("rolled_back_at",),
    "task_groups": ("rolled_back_at", "reverted_at", "accepted_rolled_back_at"),
}

_deployments = sa.table(
    "deployments",
    *(sa.column(name) for name in ("id", "project_id", "app_name", "commit_sha", "rollback_of", "task_group_id")),
    sa.column("live_key"),
    sa.column("was_healthy", sa.Boolean()),
    sa.column("created_at", engines.UtcDateTime()),
    sa.column("taken_back_at", engines.UtcDateTime()),
)
_tasks = sa.table("tasks", sa.column("id"), sa.column("rolled_back_at", engines.UtcDateTime()))
_groups = sa.table(
    "task_groups",
    sa.column("id"),
    sa.column("accept_rolled_back", sa.Boolean()),
    sa.column("created_at", engines.UtcDateTime()),
    sa.column("rolled_back_at", engines.UtcDateTime()),
    sa.column("accepted_rolled_back_at", engines.UtcDateTime()),
)
_members = sa.table("group_members", sa.column("group_id"), sa.column("task_id"), sa.column("removed_reason"))


def upgrade() -> None:
    # Never recreate a table on SQLite: dropping the old one would delete what refers to it with ON DELETE CASCADE.
    for table, names in _COLUMNS.items():
        with op.batch_alter_table(table, recreate="never") as batch_op:
            for name in names:
                batch_op.add_column(sa.Column(name, engines.UtcDateTime(), nullable=True))
    # On MariaDB, an upgrade that was interrupted after this column was dropped begins the migration anew.
    if has_column("task_groups", "accept_rolled_back"):
        accepted = _groups.update().where(_groups.c.accept_rolled_back.is_(sa.true()))
        op.execute(accepted.values(accepted_rolled_back_at=_groups.c.created_at))
    with op.batch_alter_table("task_groups", recreate="never") as batch_op:
        batch_op.drop_column("accept_rolled_back")
    _mark_what_was_taken_back()


def _mark_what_was_taken_back() -> None:
    """As if this version of the platform had seen every rollback so far."""
    rows = _deployments.select().where(
        _deployments.c.was_healthy.is_(sa.true()), _deployments.c.app_name.in_(["staging", "production"])
    )
    places: dict[tuple[str, str], list[Any]] = {}
    for row in op.get_bind().execute(rows.order_by(_deployments.c.created_at, _deployments.c.id)):
        places.setdefault((row.project_id, row.app_name), []).append(row)
    for (_project_id, app_name), history in places.items():
        line, marks = _replay(history)
        for row in history:
            if row.commit_sha in marks:
                changed = _deployments.update().where(_deployments.c.id == row.id)
                op.execute(changed.values(taken_back_at=marks[row.commit_sha]))
        live = next((row.commit_sha for row in history if row.live_key is not None), None)
        if app_name == "production" and live in line:
            for commit_sha, group_id in list(line.items())[list(line).index(live) + 1 :]:
                _mark_group(group_id, marks.get(commit_sha))


def _replay(history: list[Any]) -> tuple[dict[str, str | None], dict[str, Any]]:
    """The delivered commits in order, each with its group, and when those were taken back that still are."""
    line: dict[str, str | None] = {}
    marks: dict[str, Any] = {}
    for row in history:
        if row.rollback_of is None:
            line[row.commit_sha] = row.task_group_id
            marks.pop(row.commit_sha, None)
        elif row.commit_sha in line:
            for later in list(line)[list(line).index(row.commit_sha) + 1 :]:
                marks.setdefault(later, row.created_at)
            marks.pop(row.commit_sha, None)
    return line, marks


def _mark_group(group_id: str | None, at: Any) -> None:
    members = sa.select(_members.c.task_id).where(_members.c.group_id == group_id, _members.c.removed_reason.is_(None))
    op.execute(_groups.update().where(_groups.c.id == group_id).values(rolled_back_at=at))
    op.execute(_tasks.update().where(_tasks.c.id.in_(members)).values(rolled_back_at=at))


def downgrade() -> None:
    with op.batch_alter_table("task_groups", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("accept_rolled_back", sa.Boolean(), server_default=sa.text("0"), nullable=False))
    accepted = _groups.update().where(_groups.c.accepted_rolled_back_at.is_not(None))
    op.execute(accepted.values(accept_rolled_back=sa.true()))
    for table, names in _COLUMNS.items():
        with op.batch_alter_table(table, recreate="never") as batch_op:
            for name in names:
                batch_op.drop_column(name)
