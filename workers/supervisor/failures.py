"""Decides when a version that fails again and again counts as failed, and how long to wait before the next try."""

from __future__ import annotations

import time

from common.machine.waiting import growing_delay

DEATHS_ALLOWED = 4
DEATHS_WITHIN_SECONDS = 60.0
SPREAD_DEATHS_ALLOWED = 2
"""The limit for crashes that are spread over SPREAD_SECONDS or more: restarting does not help then, and each try takes
longer. So a version that fails some seconds after each start is given up within a minute."""
SPREAD_SECONDS = 10.0
STARTS_ALLOWED = 3
STARTS_WITHIN_SECONDS = 60.0
"""A version that was healthy before counts as failed after STARTS_ALLOWED failed starts, this long after the first."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
"""Between these starts. Each makes a new checkout and runs the setup command again."""


class Deaths:
    """The recent crashes of a live version."""

    def __init__(self) -> None:
        self._at: list[float] = []

    @property
    def count(self) -> int:
        return len(self._at)

    @property
    def are_too_many(self) -> bool:
        lasted = self._at[-1] - self._at[0]
        return self.count > (SPREAD_DEATHS_ALLOWED if lasted >= SPREAD_SECONDS else DEATHS_ALLOWED)

    def add(self) -> None:
        self.forget_old()
        self._at.append(time.monotonic())

    def forget_old(self) -> None:
        """Forget crashes older than DEATHS_WITHIN_SECONDS."""
        limit = time.monotonic() - DEATHS_WITHIN_SECONDS
        self._at = [at for at in self._at if at > limit]

    def forget_all_but_last(self) -> None:
        del self._at[:-1]


class FailedStarts:
    """The failed starts of a version that was healthy before."""

    def __init__(self) -> None:
        self._count = 0
        self._first_at = 0.0

    @property
    def are_too_many(self) -> bool:
        return self._count >= STARTS_ALLOWED and time.monotonic() - self._first_at >= STARTS_WITHIN_SECONDS

    @property
    def pause_seconds(self) -> float:
        """How long to wait before the next start."""
        return growing_delay(self._count, first_seconds=FIRST_PAUSE_SECONDS, longest_seconds=LONGEST_PAUSE_SECONDS)

    def add(self) -> None:
        self._first_at = self._first_at or time.monotonic()
        self._count += 1
