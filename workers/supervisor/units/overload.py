"""Detects an overloaded machine, and limits how many programs start at once.

If one version fails, the version is at fault. If versions of several projects fail within a minute, the cause is
probably the machine that they share, and none of them counts as bad. The number of simultaneous starts is limited, so
that many starts (after a restart of the supervisor or a common failure) do not overload the machine themselves.
"""

from __future__ import annotations

import asyncio
import os
import time

LEAST_PROJECTS = 3
"""How many projects must have failing versions within WITHIN_SECONDS for the machine to be at fault."""
WITHIN_SECONDS = 60.0
STARTS_AT_ONCE = max(2, os.cpu_count() or 1)
PERMIT_SECONDS = 5.0
"""The longest turn. A program that does not answer by then continues to start while the next one begins."""


class StartPermit:
    """The permission to start one program. Ends when `end` is called, or after TURN_SECONDS."""

    def __init__(self, free: asyncio.Semaphore) -> None:
        self._free: asyncio.Semaphore | None = free
        self._timer = asyncio.get_running_loop().call_later(PERMIT_SECONDS, self.end)

    def end(self) -> None:
        """End the turn. Safe to repeat."""
        self._timer.cancel()
        if self._free is not None:
            self._free.release()
        self._free = None


class Overload:
    """The state that all versions on this machine share."""

    def __init__(self) -> None:
        self._trouble: dict[str, float] = {}
        self._free = asyncio.Semaphore(STARTS_AT_ONCE)

    def note(self, project_id: str) -> None:
        """Record that a version of this project, which has not failed before, died or does not answer."""
        self._trouble[project_id] = time.monotonic()

    @property
    def is_now(self) -> bool:
        """Whether the machine is at fault for present failures."""
        since = time.monotonic() - WITHIN_SECONDS
        self._trouble = {project: at for project, at in self._trouble.items() if at > since}
        return len(self._trouble) >= LEAST_PROJECTS

    @property
    def words(self) -> str:
        return f"versions of {len(self._trouble)} projects fail together, so this machine is at fault"

    async def start_permit(self) -> StartPermit:
        """Wait for a turn to start a program."""
        await self._free.acquire()
        return StartPermit(self._free)
