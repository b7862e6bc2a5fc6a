"""What a killed git left in a bare repository: lock files, which would block every later git process, and what it was
writing, which git itself removes only where it may prune, and not before it is two weeks old.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from common.machine.files import remove_tree

UNFINISHED = ("tmp_", "incoming-", ".tmp")
"""How the names of files and folders among a repository's objects begin while git writes in them."""
ABANDONED_SECONDS = 86400.0
"""What has not changed for so long is of a killed git: a push takes an hour at most."""


def forget_locks(repository: Path) -> None:
    """Remove git's lock files. Call it only if no git process is running in the repository. Safe to repeat."""
    for lock in [*repository.glob("*.lock"), *(repository / "refs").rglob("*.lock")]:
        lock.unlink(missing_ok=True)


def forget_unfinished(repository: Path) -> None:
    """Remove what git was writing among the objects. Call it only if no git process is running in the repository. Safe
    to repeat.
    """
    _forget(repository, before=None)


def forget_abandoned(repository: Path) -> None:
    """As `forget_unfinished`, also while git processes run there: only what is older than they can be."""
    _forget(repository, before=time.time() - ABANDONED_SECONDS)


def _forget(repository: Path, *, before: float | None) -> None:
    for place, folders, files in os.walk(repository / "objects"):
        found = [Path(place, name) for name in (*folders, *files) if name.startswith(UNFINISHED)]
        folders[:] = [name for name in folders if not name.startswith(UNFINISHED)]
        for one in found:
            # Somebody else may just have removed it.
            with contextlib.suppress(OSError):
                if before is None or one.lstat().st_mtime < before:
                    remove_tree(one) if one.is_dir() else one.unlink()
