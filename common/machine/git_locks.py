"""Lock files that a killed git left in a bare repository: they would keep every later one from its work, for ever."""

from __future__ import annotations

from pathlib import Path


def forget_locks(repository: Path) -> None:
    """Remove git's own lock files. Only for whoever knows that no git is at work in there. Safe to repeat."""
    for lock in [*repository.glob("*.lock"), *(repository / "refs").rglob("*.lock")]:
        lock.unlink(missing_ok=True)
