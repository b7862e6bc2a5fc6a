"""Files of one user alone: the data directory is closed to all others, the secret key in it is whole or not there.

Every process that reads the settings passes through `close_to_others`, so none works in a directory that another user
owns or reads. Raises Misconfigured.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from common.errors import Misconfigured
from common.machine.files import sync_directory, write_new

PRIVATE_UMASK = 0o077
"""Of every process of the platform."""
USUAL_UMASK = 0o022
"""Of what it runs for people: commands of agents, checks, deployed programs expect it. The data directory is closed."""
SHORTEST_KEY_BYTES = 32
_OTHERS = 0o077


def close_to_others(data_dir: Path, database: Path | None) -> None:
    """Set the process's umask to 077 and take every permission of others away from what is there already.

    What is there: the directory, what lies directly in it, and SQLite's file. Deeper down nothing is changed: nobody
    else gets there. Misconfigured where the directory, the database or something directly in the directory belongs to
    another user, or its mode can't be changed. A directory that is missing is left to who needs it.
    """
    os.umask(PRIVATE_UMASK)
    if not data_dir.exists():
        return
    try:
        _close(data_dir, data_dir)
        inside = [Path(entry.path) for entry in os.scandir(data_dir) if not entry.is_symlink()]
    except OSError as error:
        raise unwritable(data_dir, error) from error
    outside = [] if database is None else [database.with_name(database.name + end) for end in ("", "-wal", "-shm")]
    for path in dict.fromkeys([*inside, *outside]):
        # Sockets and lock files come and go while other processes start and stop.
        with contextlib.suppress(FileNotFoundError):
            _close(path, data_dir)


def _close(path: Path, data_dir: Path) -> None:
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise Misconfigured(
            f"{path} belongs to another user (uid {found.st_uid}, this is {os.geteuid()}); run as that user, or set "
            f"AIWORKER_DATA_DIR to a directory of this user's own"
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
            raise Misconfigured(f"{path} stays open to other users; put {data_dir} on a file system that keeps modes")


def kept_secret(data_dir: Path) -> bytes:
    """The key in the data directory, made if there is none. Safe when several processes start at once.

    Misconfigured for a key that is shorter than SHORTEST_KEY_BYTES: anybody could make tokens with it.
    """
    path = data_dir / "secret_key"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make_key(path)
        key = path.read_bytes().strip()
    except OSError as error:
        raise unwritable(data_dir, error) from error
    if len(key) < SHORTEST_KEY_BYTES:
        raise Misconfigured(
            f"the secret key in {path} has {len(key)} bytes and needs {SHORTEST_KEY_BYTES}; restore it from a backup, "
            f"or remove it: a new one is made, logins end, and stored secrets have to be set again"
        )
    return key


def _make_key(path: Path) -> None:
    """Make the key under another name, and give it its own once the disk has it."""
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
        f"the data directory {data_dir} can't be written ({error.strerror}); set AIWORKER_DATA_DIR to one that can"
    )
