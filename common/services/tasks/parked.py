"""Parked tasks: those whose time has come go on by themselves, and a person may have one go on at once."""

from __future__ import annotations

from sqlalchemy import select

from common.errors import Conflict
from common.models.task import Task
from common.services.access import Caller
from common.services.spend.caps import reached_cap
from common.services.tasks import lifecycle
from common.services.tasks.tasks import lock_task
from common.states import By, Phase, Role
from common.transaction import Transaction, transactional

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
            lifecycle.unpark(tx, task, by=By.PLATFORM)
            resumed += 1
    return resumed


@transactional
def resume_task(tx: Transaction, task_id: str, *, by: Caller) -> Task:
    """Let a parked task go on now. Conflict unless it is parked, or while a cap of spending leaves it no room."""
    task = lock_task(tx, task_id, by, Role.MEMBER)
    if task.phase is not Phase.PARKED:
        raise Conflict(f"task {task.id} is {task.phase or task.state}; only a parked task can be resumed")
    reached = reached_cap(tx, task)
    if reached is not None:
        raise Conflict(f"a cap of spending leaves task {task.id} no room. {reached.reason}")
    lifecycle.unpark(tx, task, by=By.PERSON)
    return task
