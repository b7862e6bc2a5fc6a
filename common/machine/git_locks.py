"""Lock files that a killed git left in a bare repository, where they would block every later git process."""

from __future__ import annotations

from pathlib import Path


def forget_locks(repository: Path) -> None:
    """Remove git's lock files. Call it only if no git process is running in the repository. Safe to repeat."""
    for lock in [*repository.glob("*.lock"), *(repository / "refs").rglob("*.lock")]:
        lock.unlink(missing_ok=True)
