"""What this process knows of providers' limits: which provider takes no calls until when, and how often a task's calls
were refused in a row. Nothing is lost with it: another process finds it out with its next call.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from common.values.runs.model_provider import Route

MOST_IN_A_ROW = 4
"""Refusals of a task's calls in a row after which more than a short limit is assumed."""
MOST_REMEMBERED = 1000

_Key = tuple[str, str, str | None, str]


@dataclass
class _Refusals:
    count: int
    last: float


class KnownLimits:
    """Of one process."""

    def __init__(self) -> None:
        self._until: dict[_Key, datetime] = {}
        self._refusals: dict[str, _Refusals] = {}

    def note_limit(self, route: Route, model: str, until: datetime) -> None:
        """The provider refuses calls of this model until then. Another key or address of it is another provider."""
        if len(self._until) >= MOST_REMEMBERED:
            self._until.clear()
        self._until[_key(route, model)] = until

    def limit_of(self, route: Route, model: str, now: datetime) -> datetime | None:
        """Until when the provider is known to refuse; None if it is not."""
        until = self._until.get(_key(route, model))
        return until if until is not None and until > now else None

    def note_refusal(self, task_id: str, began: float, earlier: int = 0) -> int:
        """Count a refused call of the task. Returns the number in a row; calls side by side count once.

        began: when the call began, by time.monotonic. earlier: those before it that seemed to be over, see
        `note_answer`.
        """
        if len(self._refusals) >= MOST_REMEMBERED:
            self._refusals.clear()
        found = self._refusals.setdefault(task_id, _Refusals(earlier, float("-inf")))
        if began > found.last:
            found.count += 1
            found.last = time.monotonic()
        return found.count

    def note_answer(self, task_id: str, route: Route, model: str) -> int:
        """A call went well, or seems to. Returns how many refusals in a row it ended."""
        self._until.pop(_key(route, model), None)
        ended = self._refusals.pop(task_id, None)
        return 0 if ended is None else ended.count

    def forget_all(self) -> None:
        self._until.clear()
        self._refusals.clear()


def _key(route: Route, model: str) -> _Key:
    provider = route.provider
    return (provider.name, provider.base_url, provider.key, route.model or model)


process_limits = KnownLimits()
