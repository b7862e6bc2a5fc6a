"""Renews the leases of the jobs that this process runs: one thread for all of them.

A job that takes less than LEASE_RENEWAL_SECONDS costs two entries of a dictionary and wakes no thread.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from common.errors import Busy
from common.jobs.catalogue import LEASE_RENEWAL_SECONDS, Lease
from common.services.activity import jobs as rows

log = structlog.get_logger()


class Renewer:
    """Its thread starts with the first lease, and sleeps while there is none."""

    def __init__(self) -> None:
        self._due: dict[Lease, float] = {}
        self._lock = threading.Lock()
        self._needed = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, lease: Lease) -> None:
        """Renew the lease from now on, until `drop`."""
        with self._lock:
            self._due[lease] = time.monotonic() + LEASE_RENEWAL_SECONDS
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
                self._thread.start()
        if not self._needed.is_set():
            self._needed.set()

    def drop(self, lease: Lease) -> None:
        """Renew it no more. A renewal that is under way does nothing to a job that is over."""
        with self._lock:
            self._due.pop(lease, None)

    def _run(self) -> None:
        while True:
            self._needed.wait()
            self._needed.clear()
            # Every lease that is added while this thread sleeps is due later than those that were there before.
            while (first := self._first_due()) is not None:
                time.sleep(max(0.0, first - time.monotonic()))
                self._renew_due()

    def _first_due(self) -> float | None:
        with self._lock:
            return min(self._due.values(), default=None)

    def _renew_due(self) -> None:
        now = time.monotonic()
        with self._lock:
            due = [lease for lease, at in self._due.items() if at <= now]
        for lease in due:
            try:
                is_held = rows.renew_lease(lease)
            except Busy:
                is_held = True  # tried again, well before the lease ends
            except Exception:
                # A bug must not end this thread: the other jobs of this process need it.
                log.exception("a lease could not be renewed", job=lease.kind)
                is_held = True
            with self._lock:
                if not is_held:
                    self._due.pop(lease, None)
                elif lease in self._due:
                    self._due[lease] = time.monotonic() + LEASE_RENEWAL_SECONDS


_renewers: dict[int, Renewer] = {}


def _renewer() -> Renewer:
    """This process's. Threads do not survive a fork, so a child process makes its own."""
    pid = os.getpid()
    if pid not in _renewers:
        _renewers[pid] = Renewer()
    return _renewers[pid]


@contextmanager
def renewed(lease: Lease) -> Iterator[None]:
    """Renew the lease while the block runs."""
    renewer = _renewer()
    renewer.add(lease)
    try:
        yield
    finally:
        renewer.drop(lease)
