"""What a task waits for: tasks of its project that have to be approved before it begins, and delivered before it is."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import delete, select

from common.errors import Conflict, Invalid
from common.models.project import Project
from common.models.task import Task, TaskDependency
from common.services.lifecycle import blocked_by_cancelled
from common.transaction import Transaction
from common.values.states import OVER, TaskState

MOST_DEPENDENCIES = 50


def check_needed(tx: Transaction, project_id: str, ids: Sequence[str]) -> None:
    """Invalid (dependsOn) unless a task of the project can wait for these."""
    _check_number(ids)
    for task_id in ids:
        task = tx.session.get(Task, task_id)
        if task is None or task.project_id != project_id:
            raise Invalid("dependsOn", f"There is no task {task_id} in this project")
        if task.state is TaskState.CANCELLED:
            raise Invalid("dependsOn", f"The task {task_id} is cancelled, so this one would never start")


def lock_dependencies(tx: Transaction, project_id: str) -> None:
    """Lock what the project's tasks depend on: of two changes at once each could complete a circle.

    Call it before a task is locked.
    """
    tx.lock(Project, project_id)


def change_dependencies(tx: Transaction, task: Task, wanted: Sequence[str]) -> bool:
    """Have the task depend on these tasks and no others; False: it does already. `lock_dependencies` comes before.

    One that it depends on already may be cancelled. Invalid (dependsOn) for tasks that it can't wait for, Conflict for
    a task that is in production or cancelled.
    """
    present = set(tx.session.scalars(select(TaskDependency.depends_on_id).where(TaskDependency.task_id == task.id)))
    new = [one for one in dict.fromkeys(wanted) if one not in present]
    gone = present.difference(wanted)
    if not new and not gone:
        return False
    if task.state in OVER:
        raise Conflict(
            f"task {task.id} is {task.state}: what it depends on does not change any more", field="dependsOn"
        )
    _check_number(wanted)
    check_needed(tx, task.project_id, new)
    for one in new:
        if one == task.id or task.id in _needed_by(tx, one):
            raise Invalid("dependsOn", f"The task {one} waits for this one, so neither would ever start")
    of_task = delete(TaskDependency).where(TaskDependency.task_id == task.id)
    tx.session.execute(of_task.where(TaskDependency.depends_on_id.in_(gone)))
    for one in new:
        tx.add(TaskDependency(task_id=task.id, depends_on_id=one))
    tx.session.flush()
    blocked_by_cancelled.check_dependencies_again(tx, task)
    return True


def _check_number(ids: Sequence[str]) -> None:
    if len(ids) > MOST_DEPENDENCIES:
        raise Invalid("dependsOn", f"Must have at most {MOST_DEPENDENCIES} entries")


def _needed_by(tx: Transaction, task_id: str) -> Collection[str]:
    """The ids of all tasks that the task waits for, those that they wait for, and so on."""
    found: set[str] = set()
    new = {task_id}
    while new:
        query = select(TaskDependency.depends_on_id).where(TaskDependency.task_id.in_(new))
        new = set(tx.session.scalars(query)) - found
        found |= new
    return found
