"""Reads and writes files in folders that a run's programs write, without being led out of them.

A program may replace any file or folder by a link, a pipe or a device, at any moment, and may make a file endless. So
each part of a path is opened in the one above it, links are followed by hand and only within the folder, nothing but
regular files is opened, without waiting, and reading has a bound.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

MOST_LINKS = 40
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
MOST_LARGE_FILES = 1000
"""More than this many large files are not told apart."""


class OutsideRules(PermissionError):
    """A path leads out of the folder, or to something that is not a regular file or folder."""


def read_inside(root: Path, name: str, most_bytes: int, *, without: str | None = None) -> bytes | None:
    """The beginning of a regular file, at most most_bytes; None if there is none at this path.

    Links are followed within the folder. without: a folder at the top, in any case of letters, that is not read.
    """
    try:
        descriptor = _open_file(root, name, without)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(most_bytes)


def copy_out(root: Path, name: str, target: Path, *, most_bytes: int) -> None:
    """Copy a regular file with its times to a new path; does nothing if there is none, or if it is larger.

    Raises FileExistsError if something is at the target.
    """
    try:
        descriptor = _open_file(root, name, None)
    except (OSError, ValueError):
        return
    with os.fdopen(descriptor, "rb") as source:
        found = os.fstat(descriptor)
        if found.st_size > most_bytes:
            return
        new = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(new, "wb") as copy:
            left = most_bytes
            while left > 0 and (part := source.read(min(left, 2**20))):
                copy.write(part)
                left -= len(part)
        os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def write_inside(root: Path, name: str, content: bytes) -> None:
    """Write a file as `new_file_inside` opens it."""
    with new_file_inside(root, name) as file:
        file.write(content)


def new_file_inside(root: Path, name: str) -> BinaryIO:
    """Open a new file, readable by this user alone, in place of what is there; makes the folders above it.

    Follows no link. Raises Outside if a part of the path is one, or no folder, and OSError.
    """
    *parents, last = PurePosixPath(name).parts
    with contextlib.ExitStack() as stack:
        place = _kept(stack, os.open(root, _FOLDER))
        for part in parents:
            if part in {"..", "/"}:
                raise OutsideRules(f"{name} leads out of {root}")
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=place)
            try:
                place = _kept(stack, os.open(part, _FOLDER, dir_fd=place))
            except NotADirectoryError as error:
                raise OutsideRules(f"{name} leads out of {root}") from error
        with contextlib.suppress(FileNotFoundError):
            os.unlink(last, dir_fd=place)
        new = os.open(last, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=place)
        return os.fdopen(new, "wb")


def unlink_inside(root: Path, name: str) -> None:
    """Remove a file if it is there and no link is on the way to it."""
    *parents, last = PurePosixPath(name).parts
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
        place = _kept(stack, os.open(root, _FOLDER))
        for part in parents:
            place = _kept(stack, os.open(part, _FOLDER, dir_fd=place))
        os.unlink(last, dir_fd=place)


def unlink_git_locks(root: Path) -> None:
    """Remove the locks of git's index, HEAD, refs and configuration. No git may be running in this working tree."""
    locks = [name for name in list_inside(root, ".git") if name.endswith(".lock")]
    # No ref has a name that ends with .lock.
    locks += [f"refs/{name}" for name, _ in _files(root / ".git" / "refs") if name.endswith(".lock")]
    for name in locks:
        unlink_inside(root, f".git/{name}")


def list_inside(root: Path, name: str) -> list[str]:
    """The names in a folder, sorted; empty if there is none. Links are followed within the root."""
    try:
        descriptor = _walk(root, name, None, _FOLDER)
    except (OSError, ValueError):
        return []
    try:
        return sorted(os.listdir(descriptor))
    finally:
        os.close(descriptor)


def large_files(root: Path, largest_bytes: int) -> list[str]:
    """The paths, from the root, of regular files that are larger, but for those in git's own folder."""
    found: list[str] = []
    for path, size in _files(root):
        if size > largest_bytes and not path.startswith(".git/"):
            found.append(path)
            if len(found) == MOST_LARGE_FILES:
                break
    return found


def nested_repositories(root: Path) -> list[str]:
    """The paths, from the root, of folders below it that have an entry `.git`, each after the ones that it is in."""
    found: list[str] = []
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with contextlib.suppress(OSError), os.scandir(root / folder) as entries:
            for entry in entries:
                if entry.name == ".git":
                    found += [folder] if folder else []
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{folder}/{entry.name}" if folder else entry.name)
    return sorted(found)


def _files(root: Path) -> Iterator[tuple[str, int]]:
    """(path from the root, bytes on disk) of each regular file. Follows no link."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with contextlib.suppress(OSError), os.scandir(root / folder) as entries:
            for entry in entries:
                name = f"{folder}/{entry.name}" if folder else entry.name
                with contextlib.suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(found.st_mode):
                        yield name, found.st_blocks * 512
                    elif stat.S_ISDIR(found.st_mode):
                        waiting.append(name)


def _open_file(root: Path, name: str, without: str | None) -> int:
    """A descriptor of a regular file. Raises OSError, ValueError."""
    descriptor = _walk(root, name, without, _FILE)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OutsideRules(f"{name} is no regular file")
    return descriptor


def _walk(root: Path, name: str, without: str | None, flags: int) -> int:
    """Open what is at the path, with these flags, by following links within the root."""
    # The folders from the root down to the present one: `..` goes back to the one above.
    base = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    above, links = [base], 0
    waiting = list(reversed(_parts(root, name)))
    try:
        while waiting:
            part = waiting.pop()
            if part == "..":
                if len(above) == 1:
                    raise OutsideRules(f"{name} leads out of {root}")
                os.close(above.pop())
                continue
            if without is not None and len(above) == 1 and part.casefold() == without:
                raise OutsideRules(f"{name} leads into {without}")
            found = os.stat(part, dir_fd=above[-1], follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                links += 1
                if links > MOST_LINKS:
                    raise OutsideRules(f"{name} has too many links")
                target = os.readlink(part, dir_fd=above[-1])
                parts = _parts(root, target)
                if target.startswith("/"):
                    while len(above) > 1:
                        os.close(above.pop())
                waiting += reversed(parts)
            elif waiting:
                above.append(os.open(part, _FOLDER, dir_fd=above[-1]))
            else:
                return os.open(part, flags, dir_fd=above[-1])
        return os.dup(above[-1]) if flags & os.O_DIRECTORY else _is_folder(name)
    finally:
        for descriptor in above:
            os.close(descriptor)


def _is_folder(name: str) -> int:
    raise IsADirectoryError(f"{name} is a folder")


def _parts(root: Path, path: str) -> list[str]:
    """The parts of a path from the root; an absolute one must name the root. `..` is kept."""
    parts = list(PurePosixPath(path).parts)
    if not path.startswith("/"):
        return parts
    for known in (root, root.resolve()):
        if parts[: len(known.parts)] == list(known.parts):
            return parts[len(known.parts) :]
    raise OutsideRules(f"{path} leads out of {root}")


def _kept(stack: contextlib.ExitStack, descriptor: int) -> int:
    stack.callback(os.close, descriptor)
    return descriptor
