"""Transactions of this process that SQLite commits together, because each commit waits for the disk.

A transaction that is done does not commit at once if others come: those that begin meanwhile run on its connection, one
after the other, each in a savepoint. Then all are committed as one. Nothing is promised less: a later one sees what the
earlier ones did, as if they were committed, and nobody hears of a result, be it an error, before the commit. If that
fails, it fails for all of them. All of this happens under `database.sqlite_write_lock`, except for waiting.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator

from sqlalchemy import Connection, NestedTransaction
from sqlalchemy.exc import DBAPIError

from common.database import engines, wait_budget
from common.errors import Busy

MOST = 32
"""Most transactions of a group."""
QUIET_YIELDS = 2
"""The group is committed once nobody joined while others ran so many times. Under gevent the first time
is of those that could go on already, the second of those whose sockets had something to read.
"""


class CommitGroup:
    """connection: that of the first transaction, which commits for all."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._size = 1
        self._over = threading.Event()
        self._error: Exception | None = None

    def run(self, act: Callable[[Connection], None]) -> None:
        """Act as a part of the group. If it raises, what it wrote is undone, and what others wrote stays.

        Call it with the lock held, and `wait` without it before anything is told of the result.
        """
        self._size += 1
        savepoint: NestedTransaction | None = None
        try:
            savepoint = self.connection.begin_nested()
            act(self.connection)
            savepoint.commit()
        except BaseException as error:
            if not self._undo(savepoint):
                # SQLite itself ends a transaction when its disk is full, for example: nothing of the group is left.
                self._error = _for_all(error)
            raise

    @property
    def is_full(self) -> bool:
        """Whether nobody may join any more; it is committed soon."""
        return self._size >= MOST

    def wait_until_over(self, seconds: float) -> bool:
        """Wait until the group is committed or has failed. Returns False if that took longer.

        Call it without the lock: SQLite's own is the group's until then, and the group needs this one to commit.
        """
        return self._over.wait(seconds)

    def wait(self) -> None:
        """Wait until the group is committed. Raises what ended it otherwise, as for a transaction of its own."""
        self._over.wait()
        if self._error is not None:
            raise self._error

    def _undo(self, savepoint: NestedTransaction | None) -> bool:
        """Undo what was written since the savepoint. Returns False if the whole transaction is gone."""
        try:
            # A session whose flush failed has rolled back already.
            if savepoint is not None and savepoint.is_active:
                savepoint.rollback()
        except DBAPIError:
            return False
        return self._is_open()

    def _is_open(self) -> bool:
        return bool(getattr(self.connection.connection.driver_connection, "in_transaction", False))

    def gather(self) -> None:
        """Let others join until nobody does. Called with the lock held, which is released meanwhile.

        Raises the error that ended the transaction, if one did.
        """
        global _joinable
        _joinable = self
        engines.sqlite_write_lock.release()
        try:
            self._wait_for_joiners()
        finally:
            # However long it takes: the connection may not be used by two at once.
            engines.sqlite_write_lock.acquire()
            if _joinable is self:
                _joinable = None
        if self._error is not None:
            raise self._error

    def _wait_for_joiners(self) -> None:
        seen, quiet = self._size, 0
        while quiet < QUIET_YIELDS and self._size < MOST and self._error is None:
            _yield_to_others()
            quiet = quiet + 1 if self._size == seen else 0
            seen = self._size

    def end(self, error: BaseException | None) -> None:
        """Tell those that wait. error: why nothing was written; None: the group is committed."""
        if error is not None and self._error is None:
            self._error = _for_all(error)
        self._over.set()


def _for_all(error: BaseException) -> Exception:
    """What the others of a group are told: an error of the database, but not the end of one job's time, for example."""
    return error if isinstance(error, DBAPIError | Busy) else Busy("a transaction was interrupted")


def _yield_to_others() -> None:
    """Let other greenlets run, or the threads that wait for the lock."""
    if waiting or has_greenlets():
        time.sleep(0)
    else:
        # A sleep of nothing takes a thread 75 µs, and a transaction has two.
        os.sched_yield()


def has_greenlets() -> bool:
    """Whether gevent has replaced time.sleep in this process. It is not loaded to find out."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("time"))


waiting: set[int] = set()
"""The threads that wait for `database.sqlite_write_lock`."""
_joinable: CommitGroup | None = None


def joinable() -> CommitGroup | None:
    """The group that is open now, which may be full; None: there is none. Call it with the lock held.

    One of another database may not: the tests of a process change theirs while something of the last one may still end.
    """
    group = _joinable
    if group is None or group._error is not None:
        return None
    return group if group.connection.engine is engines.engine() else None


@contextlib.contextmanager
def write_lock() -> Iterator[None]:
    """Hold the lock of those that write to SQLite. Raises Busy if that takes too long."""
    lock = engines.sqlite_write_lock
    if not lock.acquire(blocking=False):
        thread = threading.get_ident()
        waiting.add(thread)
        try:
            with wait_budget.waiting():
                is_held = lock.acquire(timeout=wait_budget.bounded(engines.WRITE_WAIT_SECONDS))
        except BaseException:
            # The end of a job's time is raised after the wait, when the lock may be held.
            if lock._is_owned():  # type: ignore[attr-defined]
                lock.release()
            raise
        finally:
            waiting.discard(thread)
        if not is_held:
            raise Busy("the database was busy for too long")
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def committed_together(connection: Connection) -> Iterator[None]:
    """Let others join the open transaction, then commit it inside. Call it with the lock held, and all flushed."""
    group = CommitGroup(connection)
    try:
        group.gather()
        yield
    except BaseException as error:
        group.end(error)
        raise
    group.end(None)
