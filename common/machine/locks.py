"""Locks between processes: kernel locks on a file. They are released when the holding process ends, even if killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

STARTING = "starting.lock"
"""Name of a file in the data directory that `aiworker up` locks while it makes the database ready."""


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[int]:
    """Hold a lock on the file `path`, which is created with mode 0600 if missing. Yields its read-write descriptor.

    wait: False: BlockingIOError at once if another process holds it. OSError if the file can't be opened. The holder
    may remove the file. Children do not inherit the lock.
    """
    descriptor = _open_locked(path, wait=wait)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a process holds a lock on the file at present. False if the file is missing."""
    if not path.exists():
        return False
    try:
        with locked(path, wait=False):
            return False
    except BlockingIOError:
        return True


def _open_locked(path: Path, *, wait: bool) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            # The last holder may have removed the file before we got the lock, which would then protect nothing.
            if _is_at(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
