"""Long polls: wait for something to happen without asking the database all the time.

Owns no thread; the hub's stream reader wakes. A wake may come for nothing and, while Redis is away, not at all, so
a waiter looks again at least every LOOK_SECONDS.
"""

from __future__ import annotations

import threading
from types import TracebackType

from common.machine.waiting import Deadline
from web.websocket.hub import hub

LOOK_SECONDS = 2.0


class Waiter:
    """Waits for `wake(key)`, at most timeout_seconds altogether. Hold no session while waiting.

    Enter it before the first look, so that a wake between look and wait is not missed:

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
        self._hub.expect(self._key, self._woken)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._hub.dismiss(self._key, self._woken)

    def wait(self) -> bool:
        """True: look again (woken, or LOOK_SECONDS are over). False: the time is over, or the server stops."""
        if self._deadline.is_over or self._hub.is_stopping:
            return False
        self.was_woken = self._woken.wait(min(self._deadline.left_seconds, LOOK_SECONDS))
        self._woken.clear()
        return not self._hub.is_stopping
