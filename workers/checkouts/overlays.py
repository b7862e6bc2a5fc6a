"""Lays files of another commit, and new texts of files, over a checkout in which no program has run yet.

Needs no package outside the standard library, because the checkout container of a pod uses this module too.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from common.values.json_codec import encode
from common.values.testing.check import FileText, Overlay

GitInput: TypeAlias = tuple[tuple[str, ...], bytes]
"""Arguments of git, and what to write to its standard input."""

MOST_FILES = 2000
MOST_BYTES = 900 * 1024
"""Of an overlay as JSON. A pod gets it in a Secret, which holds at most 1 MiB, together with the source."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_SUCH_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO})
_FILE = os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Unwritable(Exception):
    """The checkout's files do not let a text be written. It is the same on each try. The message is a sentence."""


def is_too_large(overlay: Overlay) -> bool:
    """Whether it has more files, or is longer, than every runtime takes."""
    if len(overlay.paths) + len(overlay.gone) + len(overlay.texts) > MOST_FILES:
        return True
    return len(json.dumps(encode(overlay))) > MOST_BYTES


def git_commands(overlay: Overlay) -> Iterator[GitInput]:
    """What to run to take its files from the other commit. The arguments come after those that say where the checkout
    lies.
    """
    # Through the input: all paths together may be longer than the arguments of a program may be.
    paths = ("--pathspec-from-file=-", "--pathspec-file-nul")
    # Removed first: a path may have become a folder, or a folder a file.
    if overlay.gone:
        command = ("--literal-pathspecs", "rm", "--quiet", "-r", "--force", "--ignore-unmatch", *paths)
        yield command, _lines(overlay.gone)
    if overlay.paths:
        yield ("--literal-pathspecs", "checkout", "--quiet", "--force", *paths, overlay.commit), _lines(overlay.paths)


def _lines(paths: tuple[str, ...]) -> bytes:
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


def write_texts(code: Path, overlay: Overlay) -> None:
    """Replace the texts of files that the checkout has.

    Raises Unwritable for one that it has not or has below a link, and OSError where the machine can't write.
    """
    for file in overlay.texts:
        try:
            _write(code, file)
        except OSError as error:
            if error.errno not in _NO_SUCH_FILE:
                raise
            raise Unwritable(f"a file can't be replaced: {error.strerror}") from error


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
