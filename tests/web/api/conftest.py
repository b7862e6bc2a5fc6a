"""An instance with people, projects, tasks and groups, for tests of the API."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser

from common.values.states import Role
from tests import version_guard
from tests.web.page_reader import PageReader
from tests.web.world import World, forget_providers

version_guard.watch()


@pytest.fixture
def world(app: Flask) -> Iterator[World]:
    """Once on SQLite and once on MariaDB."""
    yield World(app)
    forget_providers()


@pytest.fixture
def plain_world(plain_app: Flask) -> Iterator[World]:
    """On SQLite alone: for what is decided without a database."""
    yield World(plain_app)
    forget_providers()


@pytest.fixture
def at_the_page(browser: Browser, plain_world: World) -> Iterator[Callable[[str, Role], PageReader]]:
    """Makes a user of this name and role, who is signed in at the page then."""
    with contextlib.ExitStack() as stack:

        def arrive(name: str, role: Role) -> PageReader:
            plain_world.client_of(name, role)
            someone = PageReader(browser, plain_world.app, name)
            stack.callback(someone.close)
            return someone

        yield arrive


@pytest.fixture
def reader(browser: Browser, plain_world: World) -> Iterator[PageReader]:
    """Someone at the page."""
    someone = PageReader(browser, plain_world.app, plain_world.max.username)
    yield someone
    someone.close()


@pytest.fixture
def source_reader(browser: Browser, plain_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageReader]:
    """Someone at the page whose modules a test may call by themselves: joined files do not give them out."""
    monkeypatch.setitem(plain_world.app.config, "PAGE_SOURCES", True)
    someone = PageReader(browser, plain_world.app, plain_world.max.username)
    yield someone
    someone.close()
