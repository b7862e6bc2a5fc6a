"""Reads a file of a commit in the clone, as it was committed.

What git writes to standard output is read line by line elsewhere, without line ends and within bounds; so git writes
the file into a folder.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from common.errors import CutShort, ProviderRefused
from workers.runner.workspace.files import read_inside

MOST_TEXT_BYTES = 4 * 2**20


def committed_text(name: str, root: Path, folder: Path, run: Callable[..., list[str]]) -> str:
    """The text of a file; empty if there is none, or if it has more than MOST_TEXT_BYTES.

    name: as git names what a commit holds, `<commit>:<path>`. root: the clone's working tree. folder: an empty one.
    run: runs git in the clone, as Workspace does. Raises Cancelled.
    """
    # ValueError: a name that no path can have
    with contextlib.suppress(CutShort, ProviderRefused, ValueError):
        sizes = run(["cat-file", "-s", name])
        if sizes and int(sizes[-1]) <= MOST_TEXT_BYTES:
            there = ["-C", str(folder), f"--git-dir={root / '.git'}", f"--work-tree={folder}"]
            for unpacked in run([*there, "unpack-file", name], writable=[folder])[-1:]:
                return (read_inside(folder, unpacked, MOST_TEXT_BYTES) or b"").decode("utf-8", "replace")
    return ""
