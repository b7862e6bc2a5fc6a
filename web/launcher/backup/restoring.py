"""Restores a backup of web/launcher/backup/making.py into an empty data directory and an empty database.

The whole file is decrypted and checked before anything is written. What is there already is replaced only if the
operator says so: the data directory's content is then moved aside, and moved back if the restore fails or is ended by
Ctrl-C, HUP or TERM. After kill -9, a mark in the data directory keeps the platform from starting on a part of a backup.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO

from common.errors import Misconfigured, ProviderRefused, ProviderUnavailable
from common.machine.files import remove_tree, sync_directory, write_new
from common.providers.forge.local import repository_copies
from common.services.upkeep import portable_rows, schema
from common.services.upkeep.portable_rows import TablePart
from common.services.upkeep.sweep_age import sweep_age_seconds
from common.settings import given_key, settings
from common.settings.environment import Environment
from common.settings.platform_address import PlatformAddress
from common.settings.private_files import PRIVATE_UMASK, RESTORE_MARK, key_path
from web.launcher.backup.backup_file import BackupReader, Heading
from web.launcher.backup.making import MANIFEST, PORTS, REPOSITORIES, SECRET_KEY, TABLES, Contents, Progress
from web.launcher.backup.undo import unwinding
from web.launcher.prerequisites import own_directory

LEFT_ALONE = frozenset({"lock", "logs", "drivers", RESTORE_MARK})
"""What may be in the data directory before, and stays there: it is no state."""
IN_USE_SECONDS = 60.0
"""A platform that runs sweeps every few seconds. Only a database server can be used by other machines."""
_ASIDE = "replaced-"
"""How the names of the folders begin into which existing data is moved."""


@dataclass(frozen=True)
class Checked:
    """A backup that is whole: the heading, the secret key, and what is in it."""

    heading: Heading
    secret_key: bytes
    contents: Contents


def check_backup(file: IO[bytes], passphrase: str, progress: Progress) -> Checked:
    """Read the whole backup. Writes nothing.

    Raises Misconfigured if it is damaged or of a newer version, or the passphrase is wrong.
    """
    reader = BackupReader(file, passphrase)
    if not schema.is_known(reader.heading.schema):
        raise Misconfigured(
            f"the backup has the schema of a newer version ({reader.heading.version}); restore it with that version"
        )
    rows: dict[str, int] = {}
    repositories: set[str] = set()
    key, manifest = b"", None
    for member, content in _members(reader, file, "checking", progress):
        top, *rest = member.name.split("/")
        if top == SECRET_KEY:
            key = content.read()
        elif top == MANIFEST:
            manifest = json.loads(content.read())
        elif top == TABLES:
            part = _part(member.name, content.read())
            rows[part.table] = rows.get(part.table, 0) + len(part.rows)
        elif top == REPOSITORIES:
            repositories.add("/".join(rest[:2]))
    if not key or manifest != {"rows": rows, "repositories": len(repositories)}:
        raise Misconfigured("the backup lacks a part that it should have; take an older one")
    size = os.fstat(file.fileno()).st_size
    return Checked(reader.heading, key, Contents(sum(rows.values()), len(repositories), size))


def restore_backup(
    file: IO[bytes], passphrase: str, place: PlatformAddress, progress: Progress, *, replaces: bool
) -> tuple[Contents, Path | None]:
    """Check the backup, and put it into the data directory and the database of this environment.

    replaces: whether existing data may be replaced. Returns what is restored, and where the data directory's earlier
    content is; None if there was none. Raises Misconfigured, having changed nothing that was there before; with
    another database than SQLite, replaced rows are lost if the restore fails after its checks, and the mark stays.
    Call it from the main thread: signals that end the process are turned into SystemExit.
    """
    checked = check_backup(file, passphrase, progress)
    given = given_key(Environment(os.environ))
    if given is not None and given.encode() != checked.secret_key:
        raise Misconfigured(
            "AIWORKER_SECRET_KEY is not the key of this backup, with which its secrets are sealed; set that one, or "
            "unset it: then the backup's key is put into the data directory"
        )
    os.umask(PRIVATE_UMASK)
    _require_no_data(place, replaces=replaces)
    is_new = not place.data_dir.exists()
    try:
        with unwinding(), own_directory(place.data_dir), ExitStack() as unmark, ExitStack() as undo:
            _mark(place.data_dir, unmark)
            aside = _move_aside(place, undo)
            undo.callback(_remove_written, place)
            if given is None:
                write_new(key_path(place.data_dir), checked.secret_key)
            settings.cache_clear()
            _require_empty_database(place, replaces=replaces)
            _unpack_files(file, passphrase, progress)
            # Now that all else has succeeded.
            if portable_rows.has_tables():
                portable_rows.drop_tables()
            if place.database_path is None:
                unmark.pop_all()  # rows of a server can't be put back
            _fill_database(file, passphrase, checked.heading.schema, progress)
            os.sync()
            undo.pop_all()
            (place.data_dir / RESTORE_MARK).unlink()
    except OSError as error:
        raise Misconfigured(f"the backup can't be restored: {error}") from error
    finally:
        if is_new and _is_empty(place.data_dir):
            remove_tree(place.data_dir)
    return checked.contents, aside


def _mark(data_dir: Path, unmark: ExitStack) -> None:
    """Mark the directory until `unmark` is closed. The mark of a restore that did not end stays there."""
    mark = data_dir / RESTORE_MARK
    if not mark.exists():
        write_new(mark, b"")
        unmark.callback(mark.unlink, missing_ok=True)
        sync_directory(data_dir)


def _require_no_data(place: PlatformAddress, *, replaces: bool) -> None:
    found = _state_in(place.data_dir) + [path for path in _database_files(place) if path.exists()]
    if found and not replaces:
        raise Misconfigured(
            f"there is data already, such as {found[0]}; set AIWORKER_DATA_DIR to another directory, or say --replace: "
            f"it is moved aside then"
        )


def _require_empty_database(place: PlatformAddress, *, replaces: bool) -> None:
    """Refuse a server's tables, unless they may be replaced. A file of SQLite has been moved aside."""
    if place.database_path is None and portable_rows.has_tables():
        if not replaces:
            raise Misconfigured("the database is not empty; name another one, or say --replace: its tables go then")
        age = sweep_age_seconds() if schema.is_current() else None
        if age is not None and age < IN_USE_SECONDS:
            raise Misconfigured(f"a platform used this database {age:.0f} s ago; stop it, and try again in a minute")


def _state_in(data_dir: Path) -> list[Path]:
    if not data_dir.is_dir():
        return []
    return sorted(
        path for path in data_dir.iterdir() if path.name not in LEFT_ALONE and not path.name.startswith(_ASIDE)
    )


def _is_empty(data_dir: Path) -> bool:
    return data_dir.is_dir() and {path.name for path in data_dir.iterdir()} <= {"lock"}


def _database_files(place: PlatformAddress) -> list[Path]:
    """SQLite's files; none with another database."""
    path = place.database_path
    return [] if path is None else [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]


def _move_aside(place: PlatformAddress, undo: ExitStack) -> Path | None:
    """Move what is there to a folder of its own; undone when `undo` is closed. Returns the folder; None if not made."""
    inside = _state_in(place.data_dir)
    places = [path.resolve() for path in inside]  # a file may be named through a link, or lie in a folder
    files = [path for path in _database_files(place) if path.exists()]
    outside = [path for path in files if not any(path.resolve().is_relative_to(one) for one in places)]
    stamp = f"{_ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    folder = place.data_dir / stamp
    if inside:
        folder.mkdir()
        undo.callback(folder.rmdir)
    moves = [(path, folder / path.name) for path in inside]
    moves += [(path, path.with_name(f"{path.name}.{stamp}")) for path in outside]
    for old, new in moves:
        old.rename(new)
        undo.callback(new.rename, old)
    if len(outside) < len(files):
        files[0].parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # which SQLite does not do
    return folder if inside else None


def _remove_written(place: PlatformAddress) -> None:
    schema.forget_connections()
    settings.cache_clear()  # they have the backup's key
    for path in [*_state_in(place.data_dir), *_database_files(place)]:
        if path.is_dir() and not path.is_symlink():
            remove_tree(path)
        else:
            path.unlink(missing_ok=True)


def _unpack_files(file: IO[bytes], passphrase: str, progress: Progress) -> None:
    chosen = settings()
    roots = {REPOSITORIES: chosen.forge.repositories_dir, PORTS: chosen.runtime.supervisor_dir / "apps"}
    repositories: set[Path] = set()
    for member, content in _members(BackupReader(file, passphrase), file, "unpacking files", progress):
        top, *rest = member.name.split("/")
        if top not in roots:
            continue
        path = roots[top].joinpath(*rest)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("xb") as copy:
            shutil.copyfileobj(content, copy, 2**20)
        if top == REPOSITORIES:
            repositories.add(roots[top].joinpath(*rest[:2]))
    for number, repository in enumerate(sorted(repositories)):
        progress("checking repositories", number, len(repositories))
        try:
            repository_copies.complete_copy(repository)
        except (ProviderRefused, ProviderUnavailable) as error:
            raise Misconfigured(f"a repository of the backup is not whole: {error}") from error
    progress("checking repositories", len(repositories), len(repositories))


def _fill_database(file: IO[bytes], passphrase: str, revision: str, progress: Progress) -> None:
    """Make the schema that the backup was made with, put the rows in, and upgrade it to this version's."""
    schema.upgrade(revision)
    parts = (
        _part(member.name, content.read())
        for member, content in _members(BackupReader(file, passphrase), file, "filling the database", progress)
        if member.name.startswith(f"{TABLES}/")
    )
    portable_rows.put_rows(parts)
    schema.upgrade()


def _part(name: str, content: bytes) -> TablePart:
    found = json.loads(gzip.decompress(content))
    columns = tuple((str(column), str(kind)) for column, kind in found["columns"])
    return TablePart(name.split("/")[1], columns, found["rows"])


def _members(
    reader: BackupReader, file: IO[bytes], what: str, progress: Progress
) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Every member with its content, to be read before the next one. Raises Misconfigured."""
    size = os.fstat(file.fileno()).st_size
    try:
        with tarfile.open(fileobj=reader, mode="r|", bufsize=2**18) as tar:  # type: ignore[call-overload]
            for member in tar:
                content = tar.extractfile(member)
                parts = PurePosixPath(member.name).parts
                if (
                    content is None
                    or not member.isreg()
                    or "/".join(parts) != member.name
                    or not {"..", "/"}.isdisjoint(parts)
                ):
                    raise Misconfigured(f"the backup has a part that no backup has: {member.name}")
                progress(what, min(file.tell(), size - 1), size)
                yield member, content
    except (tarfile.TarError, ValueError, KeyError) as error:
        raise Misconfigured(f"the backup can't be read: {error}") from error
    reader.require_end()
    progress(what, size, size)
