"""Folders that are nested more deeply than Python's recursion allows."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEPTH = 1100


@contextmanager
def deep_folders(top: Path, *, name: str = "d") -> Iterator[int]:
    """Make `top` with DEPTH folders inside each other; yields a descriptor of the innermost one.

    What is left of them is removed at the end: pytest can't, as shutil.rmtree is recursive.
    """
    top.mkdir(parents=True)
    innermost = os.open(top, os.O_RDONLY)
    try:
        for _ in range(DEPTH):
            os.mkdir(name, dir_fd=innermost)
            inner = os.open(name, os.O_RDONLY, dir_fd=innermost)
            os.close(innermost)
            innermost = inner
        yield innermost
    finally:
        os.close(innermost)
        remove_deep(top)


def remove_deep(top: Path) -> None:
    subprocess.run(["rm", "-rf", "--", str(top)], check=True, timeout=60)
