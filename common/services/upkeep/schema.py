"""Upgrades and checks the database schema with alembic; its scripts are in common/migrations.

Importing alembic takes 0.2 s, so it is imported only for an upgrade: which revisions this version knows is in the names
of their files.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import configure_mappers

from common.database import engines
from common.errors import Misconfigured
from common.machine import disk
from common.machine.disk import DiskState
from common.machine.locks import locked
from common.settings import settings
from common.settings.private_files import require_restored

if TYPE_CHECKING:
    from common.database.mariadb_connection import PatientConnection

_WAIT_SECONDS = 60
MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def upgrade(to: str = "head") -> None:
    """Upgrade the schema to this version, or to an older revision. If several processes do so at once, they wait for
    the first. Safe to repeat, also after one that ended in the middle of a migration (common/migrations/repeated.py).

    Misconfigured if the database can't be reached, or if a newer version has upgraded it.
    """
    try:
        with _alone() as connection:
            present = _present(connection)
            _refuse_newer(present)
            if present == newest_revision():
                return
            config = _config()
            config.attributes["connection"] = connection
            importlib.import_module("alembic.command").upgrade(config, to)
    except DBAPIError as error:
        raise _unusable(error) from error


def prepare_models() -> None:
    """Do what SQLAlchemy would do for the first query: before a fork, the forks share the result. Safe to repeat."""
    configure_mappers()


def is_current() -> bool:
    """Whether the schema is that of this version."""
    return _present_revision() == newest_revision()


def require_current() -> None:
    """Raise Misconfigured, with the remedy, unless the database answers and has this version's schema.

    Also if it is being restored, or a restore did not end. A missing file of SQLite is not created.
    """
    require_restored(settings().store.data_dir)
    path = settings().store.database_path
    if path is not None and not path.is_file():
        raise Misconfigured(f"there is no database at {path}; make it with: aiworker db upgrade")
    url = engines.describe_url(settings().store.database_url)
    try:
        present = _present_revision()
    except DBAPIError as error:
        raise _unusable(error) from error
    _refuse_newer(present)
    if present != newest_revision():
        raise Misconfigured(f"the database {url} does not have this version's schema; run: aiworker db upgrade")


def _unusable(error: DBAPIError) -> Misconfigured:
    """The error with its remedy. SQLite calls a full disk an I/O error at times, so the disk is looked at."""
    url = engines.describe_url(settings().store.database_url)
    path = settings().store.database_path
    if path is not None and disk.measure_disk(path, None).state is DiskState.FULL:
        return Misconfigured(f"the database {url} can't be used: the disk is full; make room at {path.parent}")
    return Misconfigured(f"the database {url} can't be used: {error.orig}; check AIWORKER_DATABASE_URL")


def newest_revision() -> str:
    """The revision of this version's schema."""
    return _revisions()[-1]


def is_known(revision: str) -> bool:
    """Whether this version's migrations contain the revision."""
    return revision in _revisions()


def ping() -> None:
    """Execute one statement. Raises the driver's errors."""
    engines.ping()


def _present_revision() -> str | None:
    with engines.engine(reads=True).connect() as connection:
        return _present(connection)


def _present(connection: Connection) -> str | None:
    """The database's revision; None if it has no schema yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return revision


def _refuse_newer(present: str | None) -> None:
    """Raise Misconfigured if this version does not know the database's revision."""
    if present is None or is_known(present):
        return
    url = engines.describe_url(settings().store.database_url)
    raise Misconfigured(
        f"the database {url} has the schema of a newer version ({present}); run that version, or restore a backup "
        f"from before its upgrade"
    )


def _revisions() -> list[str]:
    """The revisions that this version knows, oldest first."""
    return sorted(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def _config() -> Any:
    """An alembic Config."""
    config = importlib.import_module("alembic.config").Config()
    # A Config reads its values as templates.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return config


@contextmanager
def _alone() -> Iterator[Connection]:
    """A connection with an exclusive lock for migrations: a lock file for SQLite, an advisory lock on MariaDB."""
    if engines.is_sqlite():
        store = settings().store
        store.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (
            locked(store.data_dir / ".migrate.lock"),
            engines.engine().connect() as connection,
            # Some migrations rebuild a table and drop the old one, which would delete every row that refers to it.
            # SQLite's documentation recommends this (lang_altertable.html, 7).
            _pragma(connection, "foreign_keys=OFF", "foreign_keys=ON"),
            # SQLite itself waits while another process writes: nothing else goes on in this one.
            _pragma(connection, f"busy_timeout={_WAIT_SECONDS * 1000}", "busy_timeout=0"),
            # The rows of a big table are sorted for a new index, which would take much memory.
            _pragma(connection, "temp_store=FILE", "temp_store=MEMORY"),
        ):
            yield connection
            connection.commit()
        return
    with engines.engine().connect() as connection:
        # Not returned to the pool: closing it gives the lock back, also after an error, with nothing committed.
        connection.detach()
        # Changing a large table may take long, and the server goes on with it when the client no longer waits.
        cast("PatientConnection", connection.connection.dbapi_connection).read_seconds = None
        lock = migration_lock(connection.execute(text("SELECT DATABASE()")).scalar_one())
        if connection.execute(text("SELECT GET_LOCK(:lock, 120)"), {"lock": lock}).scalar_one() != 1:
            raise Misconfigured("another process has been migrating the database for two minutes; look at its log")
        connection.commit()
        yield connection
        connection.commit()


def migration_lock(database_name: str) -> str:
    """The name of the advisory lock for migrations of a database of MariaDB: locks are the whole server's.

    Not all of the database's name fits in: a lock's name has at most 64 characters. Some servers ignore the case of
    both names.
    """
    return f"aiworker-migrate-{hashlib.sha256(database_name.lower().encode()).hexdigest()[:40]}"


@contextmanager
def _pragma(connection: Connection, inside: str, after: str) -> Iterator[None]:
    """A setting of this SQLite connection inside. Many work only before a transaction is open."""
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA {inside}")
    try:
        yield
    finally:
        connection.rollback()
        cursor.execute(f"PRAGMA {after}")
        cursor.close()


def forget_connections() -> None:
    """Call it after a fork: drops the parent's connections, so that this process opens its own."""
    engines.dispose_engines()
