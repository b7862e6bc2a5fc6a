"""The real app on a database of the test's own, and clients of people in each role."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.database import engines
from common.events.feed import client as redis_client
from common.models.account import User
from common.settings import settings
from common.values.states import Role
from tests import builders, job_messages
from tests.long_timeouts import use_long_timeouts
from tests.long_waits import LONG_WAIT_SECONDS
from web.app import create_app
from web.websocket.hub import end_hub

SECRET_KEY = "a secret key that only tests use, 32 characters and more"

AppOn = Callable[[str], Flask]


@contextlib.contextmanager
def made_apps(folder: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppOn]:
    """Makes the app on a database that has the schema. Redis is emptied first. The data directory lies in `folder`."""
    monkeypatch.setenv("AIWORKER_DATA_DIR", str(folder / "data"))
    monkeypatch.setenv("AIWORKER_REDIS_URL", redis_url)
    monkeypatch.setenv("AIWORKER_SECRET_KEY", SECRET_KEY)
    use_long_timeouts(monkeypatch)

    def make(database_url: str) -> Flask:
        monkeypatch.setenv("AIWORKER_DATABASE_URL", database_url)
        settings.cache_clear()
        redis_client(timeout=60).flushall()
        return create_app()

    yield make
    # It would read the stream and the database of whatever the next test is.
    assert end_hub(LONG_WAIT_SECONDS)
    job_messages.settle()
    engines.dispose_engines()
    settings.cache_clear()


@pytest.fixture
def app_on(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppOn]:
    with made_apps(tmp_path, redis_url, monkeypatch) as make:
        yield make


@pytest.fixture
def app(app_on: AppOn, database_url: str) -> Flask:
    """The app, once on SQLite and once on MariaDB: for what a database could do differently."""
    return app_on(database_url)


@pytest.fixture
def plain_app(app_on: AppOn, sqlite_database_url: str) -> Flask:
    """The app on SQLite alone: for what is decided before a database is asked."""
    return app_on(sqlite_database_url)


@pytest.fixture
def plain_member(plain_app: Flask) -> FlaskClient:
    return builders.client_of(plain_app, builders.a_user("mia"))


@pytest.fixture
def plain_admin(plain_app: Flask) -> FlaskClient:
    return builders.client_of(plain_app, builders.a_user("ada", Role.ADMIN))


@pytest.fixture
def anyone(app: Flask) -> FlaskClient:
    """Nobody in particular: no token."""
    return app.test_client()


@pytest.fixture
def admin_user(app: Flask) -> User:
    return builders.a_user("ada", Role.ADMIN)


@pytest.fixture
def viewer(app: Flask) -> FlaskClient:
    return builders.client_of(app, builders.a_user("vic", Role.VIEWER))


@pytest.fixture
def member(app: Flask) -> FlaskClient:
    return builders.client_of(app, builders.a_user("mia", Role.MEMBER))


@pytest.fixture
def maintainer(app: Flask) -> FlaskClient:
    return builders.client_of(app, builders.a_user("max", Role.MAINTAINER))


@pytest.fixture
def admin(app: Flask, admin_user: User) -> FlaskClient:
    return builders.client_of(app, admin_user)
