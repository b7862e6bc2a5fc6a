"""Removes what a run leaves on this machine: its processes and its directory, whatever its programs put there."""

from __future__ import annotations

import contextlib
from pathlib import Path

from common.machine.files import remove_tree
from workers.runner.commands import kill_all_below


def remove_run(directory: Path) -> None:
    """Kill the run's processes and delete its directory. Safe to repeat. Raises OSError if something remains."""
    if not directory.exists():
        return
    kill_all_below(directory / "home")
    remove_tree(directory)


def remove_runs(runs_dir: Path) -> None:
    """Remove everything that runs of an earlier process left: kill their commands and delete their directories."""
    if not runs_dir.exists():
        return
    kill_all_below(runs_dir)
    for directory in runs_dir.iterdir():
        with contextlib.suppress(OSError):
            remove_run(directory)
