"""The first checkout of a run's clone, before any program has seen it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

Git = Callable[..., list[str]]
"""Runs git in the clone with each of these arguments, and returns the lines of all."""

RULES = ["ls-files", "--", ".gitattributes", "*/.gitattributes"]
"""The command that tells, by the index, whether there are files of rules."""
_TICK_SECONDS = 0.05


def check_out(
    root: Path, wanted: Sequence[str], *, has_rules: bool, git: Git, confined: Git, sleep: Callable[[float], None]
) -> None:
    """Write the files so that git takes each for unchanged until somebody writes it. has_rules: see RULES.

    By such rules, as for line ends, a file may count as changed as soon as git compares it with the commit. Git does so
    where a file is not older than the index, by whole seconds, or another user's: a sandbox shows root as another one.
    """
    checkout = ["checkout", "--quiet", "--force", *wanted]
    if not has_rules:
        git(checkout)
    elif confined(checkout, ["diff-files", "--name-only"]):
        _renew_in_next_second(root / ".git" / "index", sleep)


def _renew_in_next_second(file: Path, sleep: Callable[[float], None]) -> None:
    """Renew the file's time once the clock of its disk shows the next second."""
    second = int(file.stat().st_mtime)
    while int(file.stat().st_mtime) == second:
        sleep(_TICK_SECONDS)
        os.utime(file)
