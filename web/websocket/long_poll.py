"""Long polls: waiting for a change without querying the database all the time.

The hub's stream reader wakes the waiters; this module has no thread. A wake may come without a change, and none come
while Redis is unavailable, so a waiter looks again at least every LOOK_SECONDS.
"""

from __future__ import annotations

import threading
from types import TracebackType

from common.machine.waiting import Deadline
from web.websocket.hub import hub

RECHECK_SECONDS = 2.0


class Waiter:
    """Waits for `wake(key)`, at most timeout_seconds in total. Hold no database session while waiting.

    Enter it before the first look; then a wake between look and wait is not missed:

        with Waiter(f"agent:{agent_id}", 25) as waiter:
            while (found := look()) is None and waiter.wait():
                pass
    """

    def __init__(self, key: str, timeout_seconds: float) -> None:
        self.was_woken = False
        self._key = key
        self._deadline = Deadline(timeout_seconds)
        self._woken = threading.Event()
        self._hub = hub()

    def __enter__(self) -> Waiter:
        self._hub.add_waiter(self._key, self._woken)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._hub.remove_waiter(self._key, self._woken)

    def wait(self) -> bool:
        """True: look again (woken, or LOOK_SECONDS have passed). False: the timeout has passed or the server stops."""
        if self._deadline.is_over or self._hub.is_stopping:
            return False
        self.was_woken = self._woken.wait(min(self._deadline.left_seconds, RECHECK_SECONDS))
        self._woken.clear()
        return not self._hub.is_stopping
