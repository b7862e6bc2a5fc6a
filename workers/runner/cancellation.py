"""How everything that belongs to one run is told to stop.

A run has one Cancellation. It is set at most once, with the reason that came first, and never unset. Setting it
calls whatever was registered (the killing of a process tree), so nobody has to poll.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import TypeVar

Result = TypeVar("Result")


class Why(StrEnum):
    """Why a run stops before its driver is done."""

    CANCELLED = "cancelled"
    """The platform asked for it. The run is reported as cancelled."""
    DROPPED = "dropped"
    """The run is over for the platform (409). Nothing is reported."""
    LIMIT = "limit"
    """The run used more time, tokens or money than it may. It is reported as failed."""
    SHUTDOWN = "shutdown"
    """This process stops. Nothing is reported: the platform finds the run lost and hands the task to another agent."""


class Cancelled(Exception):
    """Raised in a run's own thread once its Cancellation is set."""


class Cancellation:
    """Set once, from any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self.why: Why | None = None
        self.message = ""

    def cancel(self, why: Why, message: str = "") -> None:
        """Stop the run. The first reason stays; later ones change nothing."""
        with self._lock:
            if self.why is not None:
                return
            self.why, self.message = why, message
            self._event.set()
            # Under the lock, so that none is called after its `calling` was left: it may kill by a process id.
            for callback in self._callbacks.values():
                callback()

    def is_set(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise Cancelled if it is set."""
        if self._event.is_set():
            raise Cancelled(self.message or str(self.why))

    def sleep(self, seconds: float) -> None:
        """Wait that long, or raise Cancelled as soon as it is set."""
        self._event.wait(max(seconds, 0.0))
        self.check()

    @contextlib.contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Inside, cancelling also calls `callback`, from the cancelling thread. Already set: it is called at once.

        The callback must neither wait nor use this Cancellation.
        """
        key = id(callback)
        with self._lock:
            already = self.why is not None
            self._callbacks[key] = callback
        try:
            if already:
                callback()
            yield
        finally:
            with self._lock:
                self._callbacks.pop(key, None)

    def abandonable(self, call: Callable[[], Result]) -> Result:
        """What `call` returns or raises; Cancelled at once when this is set, though `call` may still be under way.

        For a request that may be held for long by the other side, and whose answer nobody needs then.
        """
        results: list[Result] = []
        errors: list[BaseException] = []
        settled = threading.Event()

        def answer() -> None:
            try:
                results.append(call())
            except BaseException as error:  # noqa: BLE001 (it is raised again, in the thread that asked)
                errors.append(error)
            settled.set()

        with self.calling(settled.set):
            threading.Thread(target=answer, daemon=True).start()
            settled.wait()
        self.check()
        if errors:
            raise errors[0]
        return results[0]
