"""Files that are whole or not there, also after a loss of power; and directories removed whatever their modes."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path


def write_new(path: Path, content: bytes, *, mode: int = 0o600, is_synced: bool = True) -> None:
    """Write a new file. FileExistsError where it is there already.

    mode: less the process's umask. is_synced: return only when the disk has the content.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if is_synced:
            file.flush()
            os.fsync(descriptor)


def replace_file(
    path: Path, content: bytes, *, mode: int = 0o600, is_synced: bool = True, has_rivals: bool = False
) -> None:
    """The file holds `content`. Readers, and a start after a crash, see the old or the new, whole.

    mode: see write_new; the old file's mode does not stay. is_synced: it stays so after a loss of power. has_rivals:
    several processes may do so at once, of which the last wins; without them, what a killed process left half-written
    beside the file is removed by the next call.
    """
    new = path.with_name(f".{path.name}.{secrets.token_hex(4) if has_rivals else 'new'}")
    if not has_rivals:
        new.unlink(missing_ok=True)
    try:
        write_new(new, content, mode=mode, is_synced=is_synced)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    if is_synced:
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """What was created, renamed or removed in the directory stays so after a loss of power."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(path: Path) -> None:
    """Remove a directory and all in it. OSError where something stays, or where `path` is a file or a link.

    Directories without write permission, as a build may leave them, are given it first. Safe to repeat.
    """
    shutil.rmtree(path, ignore_errors=True)
    if not os.path.lexists(path):
        return
    for place, directories, _ in os.walk(path):
        for directory in (Path(place, name) for name in directories):
            if not directory.is_symlink():
                directory.chmod(0o700)
    shutil.rmtree(path)
