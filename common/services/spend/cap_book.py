"""The caps of many waiting tasks in one pass over them: what they share is read once, and the rest at once."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from common.models.project import Project
from common.models.spend import SpendCounter
from common.models.task import Task
from common.services.spend.caps import (
    LiveRuns,
    ReachedCap,
    caps_in_force,
    first_reached,
    platform_caps,
    uses_of,
)
from common.services.spend.spend_counters import ALL, TASK, Counter, Key, Spent, read_counters
from common.transaction import Transaction


class CapBook:
    """What is spent as it was when it was first asked for. Without any cap, it reads the platform's caps alone."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._of_platform = platform_caps(tx)
        self._counters: dict[Key, Counter] = {}
        self._live: LiveRuns | None = None

    def know(self, tasks: Collection[tuple[Task, Project]]) -> None:
        """Read what these tasks have spent, at once."""
        ids = [task.id for task, project in tasks if self.has_caps(task, project)]
        if not ids:
            return
        columns = (SpendCounter.subject_id, SpendCounter.tokens, SpendCounter.cost_usd, SpendCounter.seconds)
        query = select(*columns, SpendCounter.runs).where(SpendCounter.scope == TASK, SpendCounter.period == ALL)
        self._counters |= {Key(TASK, task_id, ALL): Counter() for task_id in ids}
        for row in self._tx.session.execute(query.where(SpendCounter.subject_id.in_(ids))):
            self._counters[Key(TASK, row[0], ALL)] = Counter(Spent(row[1], row[2], row[3], row[4]))

    def has_caps(self, task: Task, project: Project) -> bool:
        return bool(task.caps or project.caps or self._of_platform)

    def reached(self, task: Task, project: Project) -> ReachedCap | None:
        """Like `reached_cap`."""
        if not self.has_caps(task, project):
            return None
        sets = caps_in_force(task.id, project.id, task.caps, project.caps, self._of_platform, self._tx.now())
        unknown = [one.key for one in sets if one.key not in self._counters]
        self._counters |= read_counters(self._tx, unknown)
        if self._live is None:
            self._live = LiveRuns.read(self._tx)
        return first_reached(uses_of(sets, self._counters, self._live))
