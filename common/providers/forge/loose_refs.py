"""Branches and commits of a bare repository that are files of their own: read and created without a git process.

Relies on git's layout (gitrepository-layout(5)) and on its protocol of locks: a ref is changed by whoever creates
`<ref>.lock`, which replaces the ref's file as a whole; a file counts before packed refs. Whatever is not plain is left
to git. A git process takes many times as long.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from pathlib import Path

from common.values.names import SHA_PATTERN

_BRANCHES = "refs/heads/"
_COMMIT = b"commit "


def head_of(path: Path, ref: str) -> str | None:
    """The commit of a branch if both are files of their own; None: git has to be asked.

    A branch points at a commit, never at a tag.
    """
    # Without HEAD git takes the directory for none of its repositories.
    if not ref.startswith(_BRANCHES) or not (path / "HEAD").is_file():
        return None
    try:
        content = (path / ref).read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    sha = content.removesuffix("\n")
    # Where the commit itself is not a file, it is in a pack or missing, which git finds out.
    is_there = SHA_PATTERN.fullmatch(sha) is not None and _object(path, sha).is_file()
    return sha if is_there else None


def is_commit(path: Path, sha: str) -> bool:
    """Whether this is the id of a commit that is a file of its own. False: git has to be asked."""
    if SHA_PATTERN.fullmatch(sha) is None or not (path / "HEAD").is_file():
        return False
    try:
        with _object(path, sha).open("rb") as file:
            return zlib.decompressobj().decompress(file.read(128), len(_COMMIT)) == _COMMIT
    except (OSError, zlib.error):
        return False


def create(path: Path, ref: str, *, at: str) -> bool:
    """Create the branch, a valid name, at this commit. Returns False if git has to do it, or to say why it can't be."""
    # A bare repository keeps no logs of its refs, unless somebody has asked for them.
    is_plain = ref.startswith(_BRANCHES) and not (path / "logs").exists()
    if not is_plain or not is_commit(path, at):
        return False
    lock = path / f"{ref}.lock"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except OSError:
        # Another process has the lock, or there is a branch where this one needs a directory.
        return False
    with contextlib.ExitStack() as unlocking:
        unlocking.callback(lock.unlink, missing_ok=True)
        # The disk may be full, or there are branches below this one.
        with contextlib.suppress(OSError):
            if _write_locked(path, ref, descriptor, at):
                lock.replace(path / ref)
                unlocking.pop_all()
                return True
    return False


def _write_locked(path: Path, ref: str, descriptor: int, at: str) -> bool:
    """Write the locked ref's new file. Returns False if there is such a branch, or one that is in its way."""
    with os.fdopen(descriptor, "wb") as file:
        # After locking: git removes a branch from the packed refs, and then its file, with this lock.
        if os.path.lexists(path / ref) or _is_packed(path, ref):
            return False
        # Not synced, as git's own are not (git-config(1), core.fsync).
        file.write(f"{at}\n".encode())
    return True


def _is_packed(path: Path, ref: str) -> bool:
    """Whether the packed refs have the branch, one below it, or one that its name is below of."""
    try:
        packed = (path / "packed-refs").read_bytes()
    except FileNotFoundError:
        return False
    name = ref.encode()
    parts = name.split(b"/")
    above = [b"/".join(parts[:count]) for count in range(3, len(parts))]
    return b" %b/" % name in packed or any(b" %b\n" % one in packed for one in (name, *above))


def _object(path: Path, sha: str) -> Path:
    return path / "objects" / sha[:2] / sha[2:]
