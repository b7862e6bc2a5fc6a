"""Locks between processes: the kernel's, on a file. They end with the process that holds them, however that ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[int]:
    """Hold the lock file `path`, made with mode 0600 where there is none; gives its descriptor, open for both.

    wait False: BlockingIOError at once where another process holds it. OSError where the file can't be opened. The
    holder may remove the file; children do not inherit the lock.
    """
    descriptor = _open_locked(path, wait=wait)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open_locked(path: Path, *, wait: bool) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            # Its former holder may have removed the file before the lock was had: then it keeps nobody out any more.
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
