"""Runs a worker's jobs in threads of its own process, with the time limits of Celery's pool of processes.

On one machine it takes the place of two pools with two processes each: jobs wait for the database, git and providers,
not for the processor. Celery's own pool of threads knows no time limits. Here a job gets SoftTimeLimitExceeded after
the soft limit; after the hard one the whole process ends, as a thread can't be ended from outside: whoever started it
starts it again, and the leases of its jobs expire, as after any other end of a worker.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from billiard.exceptions import SoftTimeLimitExceeded
from celery import signals
from celery.concurrency.base import apply_target
from celery.concurrency.thread import ApplyResult, TaskPool
from kombu.asynchronous import Hub

log = structlog.get_logger()

CHECK_INTERVAL_SECONDS = 1.0
OVERDUE_EXIT = 70
"""Exit status of a process that a job kept for longer than the hard limit."""

_set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_exception.argtypes = [ctypes.c_ulong, ctypes.py_object]
_NO_EXCEPTION = ctypes.py_object()


@dataclass
class _Running:
    since: float
    is_warned: bool = False


class TimedThreads(TaskPool):  # type: ignore[misc]
    """Celery's pool of threads, with limits of time and memory. Its options are those of every pool of Celery."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._lock = threading.Lock()
        self._running: dict[int, _Running] = {}
        self._is_leaving = False

    def on_start(self) -> None:
        """Say that a process is ready for jobs, as each process of Celery's pool does."""
        signals.worker_process_init.send(sender=self._hostname())

    def on_stop(self) -> None:
        """Wait for the running jobs. Those that have not begun go back to the broker."""
        super().on_stop()
        signals.worker_process_shutdown.send(sender=self._hostname(), pid=os.getpid(), exitcode=0)

    def register_with_event_loop(self, loop: Hub) -> None:
        """Look after the limits in the worker's event loop. Celery calls it for each connection to the broker."""
        loop.call_repeatedly(CHECK_INTERVAL_SECONDS, self.enforce_limits)  # type: ignore[no-untyped-call]

    def on_apply(
        self,
        target: Callable[..., object],
        args: tuple[object, ...] | None = None,
        kwargs: dict[str, object] | None = None,
        callback: Callable[..., object] | None = None,
        accept_callback: Callable[..., object] | None = None,
        **_: object,
    ) -> ApplyResult:
        """Run a job in one of the threads."""
        return ApplyResult(self.executor.submit(self._run, target, args, kwargs, callback, accept_callback))

    def enforce_limits(self) -> None:
        """Interrupt jobs above the soft limit; end this process for one above the hard limit, or for its memory."""
        soft, hard = self.options.get("soft_timeout"), self.options.get("timeout")
        now = time.monotonic()
        with self._lock:
            for thread, job in self._running.items():
                if hard and now - job.since > hard:
                    log.critical("a job runs longer than its time limit; the worker ends", seconds=hard)
                    os._exit(OVERDUE_EXIT)
                if soft and now - job.since > soft and not job.is_warned:
                    job.is_warned = True
                    # Raised when the thread runs Python again: not while it waits for a lock or the network, which
                    # have time limits of their own.
                    _set_exception(thread, SoftTimeLimitExceeded)
        most = self.options.get("max_memory_per_child")
        if most and not self._is_leaving and _resident_bytes() > most * 1024:
            self._is_leaving = True
            log.warning("the worker needs too much memory and ends when its jobs have ended", most_kib=most)
            os.kill(os.getpid(), signal.SIGTERM)

    def _run(self, *call: object) -> None:
        thread = threading.get_ident()
        with self._lock:
            self._running[thread] = _Running(time.monotonic())
        try:
            apply_target(*call)
        finally:
            with self._lock:
                del self._running[thread]
                # What was raised a moment ago, and has not arrived yet, is not for the thread's next job.
                _set_exception(thread, _NO_EXCEPTION)

    def _hostname(self) -> object:
        return (self.options.get("initargs") or (None, None))[1]


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
