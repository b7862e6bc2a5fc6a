"""Parked tasks: those whose time has come, or whose cap leaves room again, go on by themselves; a person may have one
go on at once, and says when the files of a new one are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import select, type_coerce

from common.database.compiled_statements import SharedJson, Statement
from common.errors import Conflict
from common.models.project import Project
from common.models.task import Task
from common.services.caps.caps import reached_cap
from common.services.caps.caps_of_waiting_tasks import CapsOfWaitingTasks
from common.services.lifecycle import task_states
from common.services.requests.access import Caller
from common.services.tasks.tasks import lock_task
from common.transaction import Transaction, read_rows, snapshot, transactional
from common.values.runs.parking import Parked
from common.values.states import By, Phase, Role, TaskState

MOST_AT_ONCE = 100
"""Tasks that one call lets go on; the next call, 5 s later, takes the next ones."""


@transactional
def resume_due(tx: Transaction) -> int:
    """Let the parked tasks go on whose time has come, oldest time first. Returns how many. Safe to repeat."""
    due = (
        select(Task.id)
        .where(Task.parked_until <= tx.now(), Task.phase_ == Phase.PARKED)
        .order_by(Task.parked_until, Task.id)
        .limit(MOST_AT_ONCE)
    )
    resumed = 0
    for task in tx.lock_all(Task, tx.session.scalars(due).all()):
        # It may have been resumed, cancelled or parked anew since the query.
        if task.parked_until is not None and task.parked_until <= tx.now():
            task_states.unpark(tx, task, by=By.PLATFORM)
            resumed += 1
    return resumed


class _Capped(NamedTuple):
    """A task or a project with its own caps."""

    id: str
    caps: Mapping[str, float]


def resume_within_caps() -> int:
    """Let the tasks go on that were parked at a cap which leaves room again. Returns how many. Safe to repeat.

    A run that no agent has claimed counts towards the caps of runs; if it ends so, it has used nothing.
    """
    parked = [(_Capped(*row[:2]), _Capped(*row[2:])) for row in read_rows(_AT_CAP)]
    if not parked:
        return 0
    with snapshot() as read:
        book = CapsOfWaitingTasks(read)
        book.know(parked)
        found = [task.id for task, project in parked if book.reached(task, project) is None]
    return _resume_within_caps(found[:MOST_AT_ONCE]) if found else 0


_AT_CAP = Statement(
    lambda: (
        select(Task.id, type_coerce(Task.caps, SharedJson), Project.id, type_coerce(Project.caps, SharedJson))
        .join(Project, Project.id == Task.project_id)
        .where(Task.state_ == TaskState.IN_PROGRESS, Task.phase_ == Phase.PARKED, Task.parked_code == Parked.CAP)
    )
)


@transactional
def _resume_within_caps(tx: Transaction, task_ids: Sequence[str]) -> int:
    resumed = 0
    for task in tx.lock_all(Task, task_ids):
        is_parked = task.phase is Phase.PARKED and task.parked_code == Parked.CAP
        if is_parked and reached_cap(tx, task) is None:
            task_states.unpark(tx, task, by=By.PLATFORM)
            resumed += 1
    return resumed


@transactional
def resume_task(tx: Transaction, task_id: str, *, by: Caller) -> Task:
    """Let a parked task go on now, or begin if it awaits files. Conflict unless it is parked, or while a cap of
    spending leaves it no room."""
    task = lock_task(tx, task_id, by, Role.MEMBER)
    if task.awaits_files:
        task_states.end_wait_for_files(tx, task)
        return task
    if task.phase is not Phase.PARKED:
        raise Conflict(f"task {task.id} is {task.phase or task.state}; only a parked task can be resumed")
    reached = reached_cap(tx, task)
    if reached is not None:
        raise Conflict(f"a cap of spending leaves task {task.id} no room. {reached.reason}")
    task_states.unpark(tx, task, by=By.PERSON)
    return task
