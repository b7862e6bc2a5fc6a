"""Tasks that wait for a task that was cancelled: no agent ever begins them, so they say what a person can do.

A cancelled task stays cancelled.
"""

from __future__ import annotations

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import aliased

from common.models.task import Task, TaskDependency
from common.services.lifecycle import task_states
from common.transaction import Transaction, transactional
from common.values.states import Phase, TaskState

MOST_AT_ONCE = 200
"""Tasks that one call tells; the next call takes the next ones."""


def _obstacle(title: str) -> str:
    return (
        f"It depends on task {title!r}, which is cancelled, so no agent begins it: "
        "take this dependency away, or cancel it, too."
    )


_START = _obstacle("").partition("'")[0]


def check_dependencies_again(tx: Transaction, task: Task) -> None:
    """What the task, which is locked, depends on has changed: say which cancelled task keeps it now, if any."""
    if task.error is None or not task.error.startswith(_START):
        return
    needed = select(TaskDependency.depends_on_id).where(TaskDependency.task_id == task.id)
    cancelled = tx.session.scalars(select(Task.title).where(Task.id.in_(needed), Task.state_ == TaskState.CANCELLED))
    title = cancelled.first()
    task_states.show_obstacle(tx, task, None if title is None else _obstacle(title))


@transactional
def mark_blocked_tasks(tx: Transaction) -> int:
    """Say so on waiting tasks that depend on a cancelled task. Returns how many there were. Safe to repeat."""
    return mark_tasks_blocked_by(tx)


def mark_tasks_blocked_by(tx: Transaction, of_task_id: str | None = None) -> int:
    """As tell_dependents, within a transaction that has locked nothing; of_task_id: only of this cancelled task."""
    needed = aliased(Task)
    is_queued = and_(Task.state_ == TaskState.IN_PROGRESS, Task.phase_ == Phase.QUEUED)
    waiting = (
        select(Task.id, needed.title)
        .join(TaskDependency, TaskDependency.task_id == Task.id)
        .join(needed, needed.id == TaskDependency.depends_on_id)
        .where(
            or_(Task.state_ == TaskState.BACKLOG, is_queued),
            needed.state_ == TaskState.CANCELLED,
            Task.error.is_(None) | Task.error.not_like(f"{_START}%"),
        )
        .limit(MOST_AT_ONCE)
    )
    if of_task_id is not None:
        waiting = waiting.where(needed.id == of_task_id)
    titles: dict[str, str] = dict(tx.session.execute(waiting).all())
    told = 0
    for task in tx.lock_all(Task, titles):
        # It may have been cancelled since the query.
        if task.state is TaskState.BACKLOG or task.phase is Phase.QUEUED:
            task_states.show_obstacle(tx, task, _obstacle(titles[task.id]))
            told += 1
    return told
