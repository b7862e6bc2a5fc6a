"""Which open tasks of a project change the same files: said on their cards before they meet in a merge.

The paths are those that the proof of each task's newest checked commit found; a task that was never proven has none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select

from common.models.task import Task, TaskCheck
from common.transaction import Snapshot
from common.values.states import TaskState

OPEN = frozenset(
    {
        TaskState.IN_PROGRESS, TaskState.NEEDS_INPUT, TaskState.READY_TO_TEST, TaskState.APPROVED, TaskState.STAGING,
    }
)  # fmt: skip
"""The states of tasks with work that is not in production yet."""

MOST_TASKS = 200
"""Open tasks of a project that are looked at: its newest ones."""
LONGEST_PATHS = 8000
"""Characters of a task's paths that are looked at."""
MOST_OVERLAPS = 3


@dataclass(frozen=True)
class Overlap:
    """Another open task. files: how many paths both change."""

    task_id: str
    title: str
    files: int


def read_overlaps(read: Snapshot, project_id: str) -> dict[str, list[Overlap]]:
    """For each open task of the project the others that it meets, most files first, at most MOST_OVERLAPS."""
    titles: dict[str, str] = {}
    newest: dict[str, tuple[datetime, str, str]] = {}
    for task_id, title, at, check_id, paths in read.session.execute(_query(project_id)):
        titles[task_id] = title
        # Two may be of one millisecond.
        if task_id not in newest or newest[task_id] < (at, check_id, ""):
            newest[task_id] = (at, check_id, paths or "")
    by_path: defaultdict[str, list[str]] = defaultdict(list)
    for task_id, (_at, _check_id, paths) in newest.items():
        for path in paths.split("\n"):
            if path:
                by_path[path].append(task_id)
    shared: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for task_ids in by_path.values():
        for task_id in task_ids:
            shared[task_id].update(other for other in task_ids if other != task_id)
    return {task_id: _most(others, titles) for task_id, others in shared.items() if others}


def _query(project_id: str) -> Select[str, str, datetime, str, str]:
    # In a table of its own: MySQL accepts no LIMIT in a subquery of IN.
    tasks = (
        select(Task.id, Task.title)
        .where(Task.project_id == project_id, Task.state_.in_(OPEN))
        .order_by(Task.created_at.desc(), Task.id.desc())
        .limit(MOST_TASKS)
        .subquery()
    )
    return (
        select(tasks.c.id, tasks.c.title, TaskCheck.at, TaskCheck.id, func.substr(TaskCheck.log, 1, LONGEST_PATHS))
        .join(tasks, tasks.c.id == TaskCheck.task_id)
        .where(TaskCheck.name == "diff", TaskCheck.status == "passed")
    )


def _most(others: Counter[str], titles: dict[str, str]) -> list[Overlap]:
    ordered = sorted(others.items(), key=lambda one: (-one[1], one[0]))
    return [Overlap(task_id, titles[task_id], files) for task_id, files in ordered[:MOST_OVERLAPS]]
