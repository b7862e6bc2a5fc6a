"""What the local forge remembers beside a repository's objects: small JSON files, written whole, under a lock.

Several processes read and write them at once. A reader needs no lock, because a file is replaced in one step and never
changed in place; a writer holds the kernel's lock, which ends with the process that holds it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from common.errors import ProviderUnavailable
from common.machine.files import replace_file
from common.machine.locks import locked


@contextlib.contextmanager
def at_work(lock: Path) -> Iterator[None]:
    """Hold the lock file. ProviderUnavailable at once where another process holds it."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(lock, wait=False))
        except BlockingIOError as error:
            raise ProviderUnavailable(f"another process is at work on {lock.name.strip('.')}") from error
        yield


Record: TypeAlias = dict[str, Any]
"""A JSON object that the local forge keeps beside a repository."""


def read_record(path: Path) -> Record:
    """The JSON object in the file, empty where there is none yet."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    record: Record = json.loads(content)
    return record


@contextlib.contextmanager
def changing_record(path: Path) -> Iterator[Record]:
    """The JSON object in the file, to be changed in place: written on leaving if it changed, unless by an error."""
    with locked(path.parent / "lock"):
        record = read_record(path)
        before = json.dumps(record)
        yield record
        after = json.dumps(record, indent=1)
        if json.dumps(record) != before:
            replace_file(path, after.encode(), has_rivals=True)
