"""Records of the local forge beside a repository's objects: small JSON files, replaced as a whole under a lock.

Several processes read and write them at once. A reader needs no lock, because a file is replaced atomically and never
changed in place. A writer holds a kernel lock, which is released when its process ends.
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
def exclusive(lock: Path) -> Iterator[None]:
    """Hold the lock file. Raises ProviderUnavailable immediately if another process holds it."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(lock, wait=False))
        except BlockingIOError as error:
            raise ProviderUnavailable(f"another process holds {lock.name.strip('.')}") from error
        yield


Record: TypeAlias = dict[str, Any]
"""A JSON object that the local forge keeps beside a repository."""


def read_record(path: Path) -> Record:
    """Return the JSON object in the file; an empty one if the file does not exist."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    record: Record = json.loads(content)
    return record


@contextlib.contextmanager
def changing_record(path: Path) -> Iterator[Record]:
    """Yield the JSON object in the file for changes in place. Written on exit if it changed; not after an error."""
    with locked(path.parent / "lock"):
        record = read_record(path)
        before = json.dumps(record)
        yield record
        after = json.dumps(record, indent=1)
        if json.dumps(record) != before:
            replace_file(path, after.encode())
