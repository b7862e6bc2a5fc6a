"""A server of a module's own, and people who may listen to it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.values.states import Role
from tests.databases import sqlite_url
from tests.web.websocket.feed_server import Person, Server, instance, new_admin, new_person, new_project, running_server
from tests.web.websocket.pairs import Pair, pairs


@pytest.fixture(scope="module")
def server(sqlite_template: Path, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data_dir = tmp_path_factory.mktemp("feed")
    shutil.copy(sqlite_template, data_dir / "aiworker.db")
    with instance(sqlite_url(data_dir / "aiworker.db"), redis_url, data_dir), running_server(data_dir) as made:
        yield made


@pytest.fixture(scope="module")
def lone_admin(sqlite_template: Path, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """The administrator of an instance that has no server."""
    data_dir = tmp_path_factory.mktemp("lone")
    shutil.copy(sqlite_template, data_dir / "aiworker.db")
    with instance(sqlite_url(data_dir / "aiworker.db"), redis_url, data_dir):
        yield new_admin()


@pytest.fixture(scope="module")
def admin(server: Server) -> Person:
    return new_admin()


@pytest.fixture(scope="module")
def member(admin: Person) -> Person:
    return new_person(admin, Role.MEMBER)


@pytest.fixture
def project_id(admin: Person) -> str:
    return new_project(admin)


@pytest.fixture
def new_pair() -> Iterator[Callable[[], Pair]]:
    with pairs() as make:
        yield make
