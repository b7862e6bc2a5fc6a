"""Keeps the data directory private to one user, and creates and changes the secret key in it.

Every process that reads the settings calls `close_to_others`, so none works in a directory that another user owns or
can read. Raises Misconfigured.

The secret key is changed in steps any of which may be the last one. First the present key is kept as the earlier one
too, then a new one takes its place. From then on values are sealed with the new key and opened with either, until all
are sealed anew (common/services/upkeep/resealing.py) and the earlier key is deleted.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from common.errors import Misconfigured
from common.machine.files import replace_file, sync_directory, write_new
from common.settings.database import has_users

PRIVATE_UMASK = 0o077
"""The umask of every process of the platform."""
USUAL_UMASK = 0o022
"""The umask of commands of agents, checks and deployed programs, which expect it. Their files are private all the same:
the data directory is closed to other users.
"""
SHORTEST_KEY_BYTES = 32
GO_ON = 'or go on without what it opens: see "The secret key is lost" in docs/troubleshooting.md'
"""The end of a remedy."""
FINISH = "aiworker secret-key reseal"
"""The command that ends a change of the secret key."""
RESTORE_MARK = "restoring"
"""Name of a file in the data directory that keeps everything from working with a part of a platform.

It stays there if a restore is killed, or if the machine loses its power. Only a complete restore, or one that has put
back what was there before, removes it.
"""
_OTHERS = 0o077


def close_to_others(data_dir: Path, database: Path | None) -> None:
    """Set the process's umask to 077 and remove other users' permissions on existing files.

    These are the data directory, its direct entries, and SQLite's files. Files deeper down are not changed: other users
    can't reach them. Misconfigured if one of these belongs to another user or its mode can't be changed. A missing data
    directory is not created.
    """
    os.umask(PRIVATE_UMASK)
    try:
        if not data_dir.exists():
            return
        _close(data_dir, data_dir)
        inside = [Path(entry.path) for entry in os.scandir(data_dir) if not entry.is_symlink()]
    except OSError as error:
        raise unwritable(data_dir, error) from error
    outside = [] if database is None else [database.with_name(database.name + end) for end in ("", "-wal", "-shm")]
    for path in dict.fromkeys([*inside, *outside]):
        try:
            _close(path, data_dir)
        except FileNotFoundError:
            # Other processes create and remove sockets and lock files as they start and stop.
            continue
        except OSError as error:
            raise Misconfigured(f"{path} can't be used: {error.strerror}; check AIWORKER_DATABASE_URL") from error


def _close(path: Path, data_dir: Path) -> None:
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise Misconfigured(
            f"{path} belongs to another user (uid {found.st_uid}, this is {os.geteuid()}); run as that user, or set "
            f"AIWORKER_DATA_DIR to a directory that this user owns"
        )
    wanted = stat.S_IMODE(found.st_mode) & ~_OTHERS
    if found.st_mode & _OTHERS:
        try:
            path.chmod(wanted)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Misconfigured(f"{path} can't be closed to other users ({error.strerror}): chmod go= it") from error
        if path.stat().st_mode & _OTHERS:
            raise Misconfigured(f"{path} stays open to other users; put {data_dir} on a file system with file modes")


def key_path(data_dir: Path) -> Path:
    """The file of the secret key."""
    return data_dir / "secret_key"


def kept_secret(data_dir: Path, database_url: str) -> bytes:
    """The secret key in the data directory, generated if there is none. Safe if several processes start at once.

    Misconfigured for a key that is shorter than SHORTEST_KEY_BYTES, as it could be guessed, and if there is none
    although the database is in use: it was lost. Only where there is no key is the database asked.
    """
    path = key_path(data_dir)
    try:
        # The key is older than the first user: one that another process has made by now is the right one.
        if not path.exists() and has_users(database_url) and not path.exists():
            raise lost_key(path)
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make_key(path)
        key = path.read_bytes().strip()
    except OSError as error:
        raise unwritable(data_dir, error) from error
    if len(key) < SHORTEST_KEY_BYTES:
        raise Misconfigured(
            f"the secret key in {path} has {len(key)} bytes and needs {SHORTEST_KEY_BYTES}; put the right one back "
            f"from a backup, {GO_ON}"
        )
    return key


def lost_key(path: Path) -> Misconfigured:
    """path: where the key was."""
    return Misconfigured(
        f"the secret key {path} is missing, and the database has users already: without it the variables of projects, "
        f"the keys of models and other secrets can't be read; put the file back from a backup, set "
        f"AIWORKER_SECRET_KEY again if it was set, {GO_ON}"
    )


def _make_key(path: Path) -> None:
    """Write the key to a temporary file, and link it to `path` once it is on disk."""
    new = path.with_name(f".secret_key.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        write_new(new, secrets.token_hex(SHORTEST_KEY_BYTES).encode())
        with contextlib.suppress(FileExistsError):
            os.link(new, path)  # fails if another process was first: its key wins
        sync_directory(path.parent)
    finally:
        new.unlink(missing_ok=True)


def unwritable(data_dir: Path, error: OSError) -> Misconfigured:
    return Misconfigured(
        f"the data directory {data_dir} is not writable ({error.strerror}); set AIWORKER_DATA_DIR to one that is"
    )


def earlier_key_path(data_dir: Path) -> Path:
    """The file of the secret key of before, which is there while a change is not finished."""
    return data_dir / "secret_key.earlier"


def kept_earlier_key(data_dir: Path) -> bytes | None:
    """The secret key of before in the data directory; None if no change of it is under way."""
    try:
        return earlier_key_path(data_dir).read_bytes().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unwritable(data_dir, error) from error


def replace_kept_key(data_dir: Path) -> None:
    """Make a new secret key, and keep the present one as the earlier one. The settings have to be read again then.

    Raises Misconfigured if a change is under way: values may be sealed with three keys otherwise.
    """
    earlier, present = earlier_key_path(data_dir), key_path(data_dir)
    try:
        key = present.read_bytes()
        kept = kept_earlier_key(data_dir)
        # The same one: an earlier call was killed before it made a new key.
        if kept is not None and kept != key.strip():
            raise Misconfigured(f"a change of the secret key is not finished yet; finish it: {FINISH}")
        replace_file(earlier, key)
        replace_file(present, secrets.token_hex(SHORTEST_KEY_BYTES).encode())
    except OSError as error:
        raise unwritable(data_dir, error) from error


def forget_earlier_key(data_dir: Path) -> None:
    """Delete the earlier key, once nothing is sealed with it. Safe to repeat."""
    try:
        earlier_key_path(data_dir).unlink(missing_ok=True)
        sync_directory(data_dir)
    except OSError as error:
        raise unwritable(data_dir, error) from error


def require_restored(data_dir: Path) -> None:
    """Raise Misconfigured if a restore into the directory has begun and not ended."""
    if (data_dir / RESTORE_MARK).exists():
        raise Misconfigured(
            f"a restore into {data_dir} is going on, or did not end; repeat it with: aiworker restore --replace FILE"
        )
