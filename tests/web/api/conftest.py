"""An instance with people, projects, tasks and groups, for tests of the API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from tests import version_guard
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
