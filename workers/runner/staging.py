"""What `git add` is told of a working tree that a driver left, and what it says of files that it can't take.

A driver may leave anything: files that nobody may read, repositories in the repository. None of it may keep the rest of
the work from being committed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

MOST_NAMED = 20
_LEFT_OUT = re.compile(
    r"error: unable to index file '(?P<file>.*?)'?"
    r"|warning: could not open directory '(?P<folder>.*)': .*"
    r"|error: '(?P<repository>.*)' does not have a commit checked out"
)


def add_all(paths: Path, without: Sequence[str]) -> list[str]:
    """The command that adds all files but these; it exits with 1 if it left out some that it could not add.

    paths: a new file, which is written. without: paths from the top of the working tree.
    """
    # In a file: the names of many files are more than a command line holds.
    paths.write_bytes(os.fsencode("\0".join([".", *(f":(exclude,top,literal){name}" for name in without)])))
    return ["add", "--all", "--ignore-errors", f"--pathspec-from-file={paths}", "--pathspec-file-nul"]


def left_out(lines: Sequence[str]) -> list[str]:
    """The paths that `git add` could not take, by what it wrote; sorted. Of a path with a line end, its first line."""
    found = (_LEFT_OUT.fullmatch(line) for line in lines)
    return sorted({match[match.lastgroup or 0] for match in found if match})


class LeftOutLog:
    """Tells which paths are in no commit, once until others are."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._last: list[str] = []

    def tell(self, paths: Sequence[str]) -> None:
        if paths and paths != self._last:
            more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
            self._say(f"Not in the commit, as git can't read it: {', '.join(paths[:MOST_NAMED])}{more}")
        self._last = list(paths)
