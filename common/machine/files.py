"""Files that are never half-written, even after a power loss, and removal of directories with any modes."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def write_new(path: Path, content: bytes, *, mode: int = 0o600, is_synced: bool = True) -> None:
    """Write a new file. FileExistsError if it exists.

    mode: reduced by the process's umask. is_synced: return only when the content is on disk.
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
    """Create or replace the file atomically. Readers see the old or the new content, also after a crash.

    mode: see write_new; the old file's mode is not kept. is_synced: the new content survives a power loss. has_rivals:
    several processes may do this at once, and the last one wins. If False, a temporary file that a killed process left
    is removed by the next call.
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
    """Make creations, renames and removals in the directory survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(path: Path) -> None:
    """Remove a directory and its contents. OSError if something can't be removed, or if `path` is a file or a link.

    Directories without write permission, such as builds leave, are made writable first. They may be nested to any
    depth. Safe to repeat.
    """
    if not os.path.lexists(path):
        return
    # Looked at first: shutil.rmtree opens what it is given, and waits for ever for the other end of a pipe.
    if not stat.S_ISDIR(path.lstat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "a file or a symbolic link is no directory", str(path))
    with contextlib.suppress(RecursionError):
        shutil.rmtree(path, ignore_errors=True)
    if not os.path.lexists(path):
        return
    path.chmod(0o700)
    top = os.open(path, _DIRECTORY)
    try:
        _remove_contents(top)
    finally:
        os.close(top)
    path.rmdir()


def make_anew(path: Path) -> None:
    """Make an empty directory at `path`, in place of whatever is there: no link is followed. Raises OSError.

    No program may be writing in the directory above it.
    """
    try:
        remove_tree(path)
    except NotADirectoryError:
        path.unlink()
    path.mkdir()


def _remove_contents(top: int) -> None:
    """Remove what is in the open directory.

    Each directory is moved into `top` before it is emptied. shutil.rmtree is recursive instead and keeps the directory
    of every level open: it fails at about 1000 levels.
    """
    waiting = _emptied(top, top)
    while waiting:
        name = waiting.pop()
        directory = os.open(name, _DIRECTORY, dir_fd=top)
        try:
            waiting += _emptied(directory, top)
        finally:
            os.close(directory)
        os.rmdir(name, dir_fd=top)


def _emptied(directory: int, top: int) -> list[str]:
    """Remove the files of an open directory and move its directories into `top`. Returns their new names."""
    with os.scandir(directory) as found:
        entries = list(found)
    moved = []
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.name, dir_fd=directory)
            continue
        # To move a directory or to list it needs rights on the directory itself.
        os.chmod(entry.name, 0o700, dir_fd=directory)
        name = secrets.token_hex(16)
        os.rename(entry.name, name, src_dir_fd=directory, dst_dir_fd=top)
        moved.append(name)
    return moved
