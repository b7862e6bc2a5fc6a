"""Whether a database is in use, asked before there are settings: a new secret key is made only where it is not."""

from __future__ import annotations

import importlib
import sqlite3
from contextlib import closing
from pathlib import Path

from common.errors import Misconfigured
from common.settings.database_address import sqlite_path

CONNECT_SECONDS = 3
READ_SECONDS = 30
_QUERY = "SELECT 1 FROM users LIMIT 1"
_NO_TABLE = 1146


def has_users(database_url: str) -> bool:
    """Whether the database has a user, of any version's schema. Creates nothing. Misconfigured if it can't be asked."""
    if database_url.startswith("sqlite"):
        return _sqlite_has_users(sqlite_path(database_url))
    return _server_has_users(database_url)


def _sqlite_has_users(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            has_table = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'users'")
            return bool(has_table.fetchone() and connection.execute(_QUERY).fetchone())
    except sqlite3.Error as error:
        raise Misconfigured(f"the database {path} can't be used: {error}; check AIWORKER_DATABASE_URL") from error


def _server_has_users(url: str) -> bool:
    # Loaded here only: most processes that read the settings have a key, and some never use a database.
    sqlalchemy = importlib.import_module("sqlalchemy")
    patience = {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS}
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args=patience, hide_parameters=True)
    try:
        with engine.connect() as connection:
            return connection.execute(sqlalchemy.text(_QUERY)).first() is not None
    except sqlalchemy.exc.DBAPIError as error:
        if error.orig.args[:1] == (_NO_TABLE,):
            return False
        where = engine.url.render_as_string(hide_password=True)
        raise Misconfigured(f"the database {where} can't be used: {error.orig}; check AIWORKER_DATABASE_URL") from error
