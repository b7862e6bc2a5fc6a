"""Removes what a run leaves on this machine: its processes and its directory, whatever its programs put there."""

from __future__ import annotations

import contextlib
from pathlib import Path

from common.machine.files import remove_tree
from workers.runner.processes.commands import kill_all_below


def remove_run(directory: Path) -> None:
    """Kill the run's processes and delete its directory. Safe to repeat. Raises OSError if something remains."""
    # Also if the directory is gone: its programs may still run.
    kill_all_below(directory / "home")
    if directory.exists():
        remove_tree(directory)


def remove_runs(runs_dir: Path) -> None:
    """Remove everything that runs of an earlier process left: kill their commands and delete their directories."""
    kill_all_below(runs_dir)
    for directory in runs_dir.iterdir() if runs_dir.exists() else ():
        with contextlib.suppress(OSError):
            remove_run(directory)
