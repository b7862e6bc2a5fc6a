"""Tells people once when most of a cap is used: an event for each cap and period, and another after it was raised."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, select

from common.database.compiled_statements import Statement
from common.events.catalogue import PLATFORM as PLATFORM_FEED
from common.events.catalogue import SpendWarning
from common.models.project import Project
from common.models.task import Task
from common.services.caps.caps import WARNED_FROM, CapUse, cap_uses, caps_in_force, platform_caps
from common.services.caps.spend_counters import PLATFORM, TASK, lock_counter, note_warned
from common.transaction import Transaction

_CAPS = Statement(
    lambda: (
        select(Task.id, Task.project_id, Task.caps, Project.caps)
        .join(Project, Project.id == Task.project_id)
        .where(Task.id == bindparam("task_id"))
    )
)


def warn_of_caps(tx: Transaction, task_ids: Collection[str]) -> None:
    """Record the events that are due for the caps of these tasks, whose counters were raised in this transaction."""
    if not task_ids:
        return
    of_platform = platform_caps(tx)
    found = [row for one in sorted(task_ids) for row in tx.rows(_CAPS, task_id=one)]
    for task_id, project_id, of_task, of_project in found:
        sets = caps_in_force(task_id, project_id, of_task, of_project, of_platform, tx.now())
        due = [use for use in cap_uses(tx, sets) if use.used >= WARNED_FROM * use.limit]
        for use in due:
            _warn(tx, use, project_id)


def _warn(tx: Transaction, use: CapUse, project_id: str) -> None:
    warned = lock_counter(tx, use.key).warned
    mark = f"{use.cap}:{use.limit:g}"
    if mark in warned:
        return
    note_warned(tx, use.key, [*warned, mark])
    is_platform, task_id = use.scope == PLATFORM, use.key.subject_id if use.scope == TASK else None
    tx.record(
        SpendWarning(
            feed=PLATFORM_FEED if is_platform else project_id, subject_task_id=task_id,
            task_id=task_id, scope=use.scope, cap=use.cap, period=use.period, used=round(use.used, 4), limit=use.limit,
        )
    )  # fmt: skip
