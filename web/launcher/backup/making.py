"""Makes a backup: everything that a new machine needs to go on, in one encrypted file, while everything runs.

In it are all rows of the database (with people, tasks, kept sessions, and secrets that stay sealed), the secret key
with which they are sealed, the local forge's repositories, and the ports of deployed apps. Not in it are the settings
of the environment, Gitea's repositories, and what is made anew: caches, checkouts, logs, installed programs.
"""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import secrets
import tarfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import IO

from common.errors import Busy, Misconfigured, ProviderUnavailable
from common.machine.files import sync_directory
from common.providers.forge.local import repository_copies
from common.providers.forge.local.repository_copies import PinnedRepository
from common.services.upkeep import portable_rows, schema
from common.services.upkeep.portable_rows import TablePart
from common.services.upkeep.resealing import is_earlier_key_needed
from common.settings import Settings
from common.settings.private_files import FINISH
from web import VERSION
from web.launcher.backup.backup_file import BackupWriter, Heading
from web.launcher.backup.undo import unwinding

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many parts of it are done, and of how many."""

MANIFEST, SECRET_KEY, TABLES, REPOSITORIES, PORTS = "manifest.json", "secret_key", "tables", "repositories", "apps"

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""What link(2) says where the file system has no hard links: FAT, and many that are reached over a network."""


@dataclass
class _Snapshot:
    """What is read of the data directory at the moment of the backup."""

    repositories: list[PinnedRepository] = field(default_factory=list)
    ports: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """How much is in a backup. bytes: the size of its file."""

    rows: int
    repositories: int
    bytes: int


def write_backup(to: Path, passphrase: str, settings: Settings, progress: Progress) -> Contents:
    """Write a backup of this platform to a new file, which only this user may read.

    The file appears when it is complete. Raises Misconfigured if it exists or can't be written, and Busy. Call it from
    the main thread: signals that end the process leave no file.
    """
    # Not of the file's name, which may be as long as names can be.
    new = to.with_name(f".aiworker-backup.{secrets.token_hex(4)}")
    try:
        _require_free(to)
        with unwinding(), ExitStack() as undo:
            undo.callback(new.unlink, missing_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                contents = stream_backup(file, passphrase, settings, progress)
                os.fsync(file.fileno())
            _publish(new, to)
            sync_directory(to.parent)
            return contents
    except OSError as error:
        raise Misconfigured(f"the backup can't be written to {to}: {error.strerror or error}") from error


def _require_free(to: Path) -> None:
    try:
        to.lstat()
    except FileNotFoundError:
        return
    raise Misconfigured(f"{to} exists; name a new file, or remove it")


def _publish(new: Path, to: Path) -> None:
    """Give the complete file its name. OSError if there is a file of that name: none is replaced."""
    try:
        os.link(new, to)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A rename would replace a file that was made meanwhile; this one replaces the empty file that it made itself.
        os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            os.replace(new, to)
        except BaseException:
            to.unlink()
            raise


def stream_backup(file: IO[bytes], passphrase: str, settings: Settings, progress: Progress) -> Contents:
    """Write a backup of this platform to an open file. If this raises, what was written is refused as cut.

    Raises Misconfigured, Busy, and OSError if it can't be written.
    """
    schema.require_current()
    if settings.security.earlier_key is not None and is_earlier_key_needed():
        raise Misconfigured(f"the earlier secret key still opens some values and is in no backup; first: {FINISH}")
    heading = Heading(
        VERSION, schema.newest_revision(), datetime.now(UTC).isoformat(timespec="seconds"),
        "sqlite" if settings.store.is_sqlite else "mariadb",
    )  # fmt: skip
    encrypted = BackupWriter(file, heading, passphrase)
    try:
        with tarfile.open(fileobj=encrypted, mode="w|", bufsize=2**18) as tar:  # type: ignore[call-overload]
            rows, repositories = _write(tar, settings, progress)
    except ProviderUnavailable as error:
        raise Busy(str(error)) from error
    encrypted.close()
    file.flush()
    return Contents(rows, repositories, encrypted.size)


def _write(tar: tarfile.TarFile, settings: Settings, progress: Progress) -> tuple[int, int]:
    """Write all members. Returns how many rows and repositories there were."""
    _add(tar, SECRET_KEY, settings.security.secret_key)
    at_once = _Snapshot()

    def look() -> None:
        at_once.repositories = repository_copies.pin(settings.forge.repositories_dir)
        at_once.ports = _ports(settings.runtime.supervisor_dir)

    counts = {}
    names = portable_rows.table_names()
    with portable_rows.reading_at_one_moment(look) as parts_of:
        for number, name in enumerate(names):
            progress("database", number, len(names))
            counts[name] = _write_table(tar, name, parts_of(name))
        progress("database", len(names), len(names))
    for name, content in at_once.ports.items():
        _add(tar, f"{PORTS}/{name}", content)
    count = len(at_once.repositories)
    for number, repository in enumerate(at_once.repositories):
        progress("repositories", number, count)
        _write_repository(tar, repository)
    progress("repositories", count, count)
    _add(tar, MANIFEST, json.dumps({"rows": counts, "repositories": count}).encode())
    return sum(counts.values()), count


def _write_table(tar: tarfile.TarFile, name: str, parts: Iterable[TablePart]) -> int:
    count = 0
    for number, part in enumerate(parts):
        packed = json.dumps({"columns": part.columns, "rows": part.rows}, separators=(",", ":")).encode()
        _add(tar, f"{TABLES}/{name}/{number:06}.json.gz", gzip.compress(packed, 3, mtime=0))
        count += len(part.rows)
    return count


def _write_repository(tar: tarfile.TarFile, repository: PinnedRepository) -> None:
    folder = f"{REPOSITORIES}/{repository.owner}/{repository.name}"
    for name, content in repository.small_files.items():
        _add(tar, f"{folder}/{name}", content)
    for name, path in chain(repository_copies.object_files(repository), repository_copies.status_files(repository)):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            continue
        with file:
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = os.fstat(file.fileno()).st_size
            tar.addfile(member, file)


def _ports(supervisor_dir: Path) -> dict[str, bytes]:
    """The files in which the local runtime keeps the public ports of its apps."""
    apps = supervisor_dir / "apps"
    return {str(file.relative_to(apps)): file.read_bytes() for file in sorted(apps.glob("*/*/app.json"))}


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
