"""Finds and reads files that a check's command wrote into its checkout.

The repository's code wrote them, so nothing in them is trusted: only plain files of this run count, links are not
followed, and what is read is bounded.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from common.machine.lazy_modules import lazy_module

if TYPE_CHECKING:
    import pathspec
else:
    pathspec = lazy_module("pathspec")

MOST_ENTRIES = 300_000
"""Files and folders of the checkout that are looked at."""


class Unusable(Exception):
    """The report can't be used. The message says why."""


def matching_files(code: Path, places: Sequence[str]) -> list[str]:
    """The paths in the checkout that match a pattern of `.gitignore`, sorted in each folder. Blocking."""
    patterns, found, seen = pathspec.GitIgnoreSpec.from_lines(places), list[str](), 0
    # os.walk is recursive: it fails at about 1000 levels.
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        folders, files = _names(code / inside)
        seen += len(folders) + len(files)
        if seen > MOST_ENTRIES:
            break
        within = f"{inside}/" if inside else ""
        found += [f"{within}{name}" for name in files if patterns.match_file(f"{within}{name}")]
        waiting += [f"{within}{name}" for name in reversed(folders)]
    return found


def _names(folder: Path) -> tuple[list[str], list[str]]:
    """The sorted names of its folders and of its files, without links to folders; none if it can't be read."""
    folders, files = list[str](), list[str]()
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in itertools.islice(entries, MOST_ENTRIES + 1):
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif not _leads_to_folder(entry):
                files.append(entry.name)
    return sorted(set(folders) - {".git", "node_modules"}), sorted(files)


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself, or whose path is too long
        return False


def names_in(folder: Path, ending: str) -> list[str]:
    """The sorted names in a folder outside of the checkout; empty if a link has taken its place. Blocking."""
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            with os.scandir(opened) as entries:
                names = [entry.name for entry in itertools.islice(entries, MOST_ENTRIES)]
        finally:
            os.close(opened)
        return sorted(name for name in names if name.endswith(ending))
    return []


def content_of_run(path: Path, shown: str, *, began_ns: int, left: int, most: int) -> bytes | None:
    """The file's content; None if it is older than the run. Raises Unusable for what is no plain file. Blocking.

    left: how many bytes it may have, of the `most` that all files may have together.
    """
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Unusable(f"{shown} is a link or can't be read") from error
    with os.fdopen(opened, "rb") as file:
        about = os.fstat(opened)
        if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1:
            raise Unusable(f"{shown} is no file of its own")
        if about.st_mtime_ns < began_ns:
            return None
        content = file.read(left + 1)
    if len(content) > left:
        raise Unusable(f"the files are larger than {most // 2**20} MiB together")
    return content
