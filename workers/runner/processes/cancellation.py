"""Cancellation of a run: stops all threads and commands that belong to it.

A run has one Cancellation. It is set at most once, with the first reason, and never unset. Setting it calls the
registered callbacks (such as killing a process tree), so no code has to poll.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import TypeVar

Result = TypeVar("Result")


class Why(StrEnum):
    """Why a run stops before its driver has finished."""

    CANCELLED = "cancelled"
    """The platform asked for it. The run is reported as cancelled."""
    DROPPED = "dropped"
    """The run is over for the platform (409). Nothing is reported."""
    LIMIT = "limit"
    """The run exceeded its limit of time, tokens or cost. It is reported as failed."""
    SHUTDOWN = "shutdown"
    """This process stops. Nothing is reported: the platform detects the loss and gives the task to another agent."""


class Cancelled(Exception):
    """Raised in the run's threads once its Cancellation is set."""


class Cancellation:
    """A flag with a reason. It can be set once, from any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self.why: Why | None = None
        self.message = ""

    def cancel(self, why: Why, message: str = "") -> None:
        """Cancel the run and call the callbacks. Only the first call has an effect."""
        with self._lock:
            if self.why is not None:
                return
            self.why, self.message = why, message
            self._event.set()
            # Under the lock, so that no callback is called after its `calling` block ended: by then another process
            # may have the process id that it kills.
            for callback in self._callbacks.values():
                callback()

    def is_set(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise Cancelled if it is set."""
        if self._event.is_set():
            raise Cancelled(self.message or str(self.why))

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds; raise Cancelled as soon as it is set."""
        self._event.wait(max(seconds, 0.0))
        self.check()

    @contextlib.contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """While the block runs, cancelling calls `callback` in the cancelling thread. If already set, it is called now.

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
        """Run `call` in a thread and return its result or raise its error. Raises Cancelled at once when this is set,
        even if `call` is still running.

        For long-polling requests whose answer is not needed after a cancellation.
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
