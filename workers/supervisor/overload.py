"""Whether this machine is at fault, and not what runs on it; and whose turn it is to start something.

One version that fails is bad. Versions of several projects that fail within a minute have only the machine in common:
then none of them is judged by it. Starts take turns, so that many at once (after a restart of everything, or of what
failed together) are no overload themselves.
"""

from __future__ import annotations

import asyncio
import os
import time

LEAST_PROJECTS = 3
"""So many unrelated projects have to be in trouble within WITHIN_SECONDS."""
WITHIN_SECONDS = 60.0
STARTS_AT_ONCE = max(2, os.cpu_count() or 1)
TURN_SECONDS = 5.0
"""The longest turn: one that has not answered by then goes on while the next one begins."""


class StartTurn:
    """A turn to start. Over when `end` is called, or after TURN_SECONDS."""

    def __init__(self, free: asyncio.Semaphore) -> None:
        self._free: asyncio.Semaphore | None = free
        self._timer = asyncio.get_running_loop().call_later(TURN_SECONDS, self.end)

    def end(self) -> None:
        """Safe to repeat."""
        self._timer.cancel()
        if self._free is not None:
            self._free.release()
        self._free = None


class Overload:
    """What all versions of this machine know of each other."""

    def __init__(self) -> None:
        self._trouble: dict[str, float] = {}
        self._free = asyncio.Semaphore(STARTS_AT_ONCE)

    def note(self, project_id: str) -> None:
        """A version of this project that is no known failure does not answer, or died."""
        self._trouble[project_id] = time.monotonic()

    @property
    def is_now(self) -> bool:
        """Whether the machine is at fault for what fails at this moment."""
        since = time.monotonic() - WITHIN_SECONDS
        self._trouble = {project: at for project, at in self._trouble.items() if at > since}
        return len(self._trouble) >= LEAST_PROJECTS

    @property
    def words(self) -> str:
        return f"versions of {len(self._trouble)} projects fail together, so this machine is at fault"

    async def turn(self) -> StartTurn:
        """Wait for a turn to start something."""
        await self._free.acquire()
        return StartTurn(self._free)
