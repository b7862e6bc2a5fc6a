"""The caps of many waiting tasks in one pass over them: what they share is read once, and the rest at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from sqlalchemy import select

from common.models.spend import SpendCounter
from common.services.caps.caps import (
    LiveRuns,
    ReachedCap,
    caps_in_force,
    first_reached,
    platform_caps,
    uses_of,
)
from common.services.caps.spend_counters import ALL, TASK, Counter, Key, Spent, read_counters
from common.transaction import Snapshot, Transaction


class HasCaps(Protocol):
    """A task or project with its caps as they are stored."""

    @property
    def id(self) -> str: ...

    @property
    def caps(self) -> Mapping[str, object]: ...


class CappedTask(Protocol):
    """A task with its own caps."""

    @property
    def id(self) -> str: ...

    @property
    def caps(self) -> Mapping[str, float]: ...


class CapsOfWaitingTasks:
    """What is spent as it was when it was first asked for. Without any cap, it reads the platform's caps alone."""

    def __init__(self, at: Snapshot | Transaction) -> None:
        self._at = at
        self._now = at.now()
        self._of_platform = platform_caps(at)
        self._counters: dict[Key, Counter] = {}
        self._live: LiveRuns | None = None

    def know(self, tasks: Collection[tuple[CappedTask, HasCaps]]) -> None:
        """Read what these tasks have spent, at once."""
        ids = [task.id for task, project in tasks if self.has_caps(task, project)]
        if not ids:
            return
        columns = (SpendCounter.subject_id, SpendCounter.tokens, SpendCounter.cost_usd, SpendCounter.seconds)
        query = select(*columns, SpendCounter.runs).where(SpendCounter.scope == TASK, SpendCounter.period == ALL)
        self._counters |= {Key(TASK, task_id, ALL): Counter() for task_id in ids}
        for row in self._at.session.execute(query.where(SpendCounter.subject_id.in_(ids))):
            self._counters[Key(TASK, row[0], ALL)] = Counter(Spent(row[1], row[2], row[3], row[4]))

    def has_caps(self, task: CappedTask, project: HasCaps) -> bool:
        return bool(task.caps or project.caps or self._of_platform)

    def reached(self, task: CappedTask, project: HasCaps) -> ReachedCap | None:
        """Like `reached_cap`."""
        if not self.has_caps(task, project):
            return None
        sets = caps_in_force(task.id, project.id, task.caps, project.caps, self._of_platform, self._now)
        unknown = [one.key for one in sets if one.key not in self._counters]
        self._counters |= read_counters(self._at, unknown)
        if self._live is None:
            self._live = LiveRuns.read(self._at)
        return first_reached(uses_of(sets, self._counters, self._live))
