"""Lays files of another commit, and new texts of files, over a checkout in which no program has run yet.

Needs no package outside the standard library, because the checkout container of a pod uses this module too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from common.values.check import FileText, Overlay

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def git_commands(overlay: Overlay) -> Iterator[tuple[str, ...]]:
    """The arguments of git, after those that say where the checkout lies, that take its files from the other commit."""
    # Removed first: a path may have become a folder, or a folder a file.
    if overlay.gone:
        yield "--literal-pathspecs", "rm", "--quiet", "-r", "--force", "--ignore-unmatch", "--", *overlay.gone
    if overlay.paths:
        yield "--literal-pathspecs", "checkout", "--quiet", "--force", overlay.commit, "--", *overlay.paths


def write_texts(code: Path, overlay: Overlay) -> None:
    """Replace the texts of files that the checkout has. OSError for one that it has not, or has below a link."""
    for file in overlay.texts:
        _write(code, file)


def _write(code: Path, file: FileText) -> None:
    *folders, name = file.path.split("/")
    place = os.open(code, _FOLDER)
    try:
        for folder in folders:
            inner = os.open(folder, _FOLDER, dir_fd=place)
            os.close(place)
            place = inner
        opened = os.open(name, _FILE, dir_fd=place)
    finally:
        os.close(place)
    with os.fdopen(opened, "wb") as written:
        written.write(file.text.encode("utf-8", "surrogateescape"))
