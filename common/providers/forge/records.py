"""What the local forge remembers beside a repository's objects: small JSON files, written whole, under a lock.

Several processes read and write them at once. A reader needs no lock, because a file is replaced in one step and never
changed in place; a writer holds the kernel's lock, which ends with the process that holds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.errors import ProviderUnavailable


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file `path`. wait False: ProviderUnavailable at once where another process holds it."""
    descriptor = _open_locked(path, wait=wait)
    try:
        yield
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
        except BlockingIOError as error:
            os.close(descriptor)
            raise ProviderUnavailable(f"another process is at work on {path.name.strip('.')}") from error
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def write_whole(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """The file holds `content`, wholly or not at all, also after a loss of power."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """What was created or renamed in the directory stays so after a loss of power."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_record(path: Path) -> dict[str, Any]:
    """The JSON object in the file, empty where there is none yet."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    record: dict[str, Any] = json.loads(content)
    return record


@contextlib.contextmanager
def changing_record(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON object in the file, to be changed in place: written on leaving if it changed, unless by an error."""
    with locked(path.parent / "lock"):
        record = read_record(path)
        before = json.dumps(record)
        yield record
        after = json.dumps(record, indent=1)
        if json.dumps(record) != before:
            write_whole(path, after.encode())
