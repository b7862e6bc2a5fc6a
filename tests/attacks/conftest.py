"""What attacks are made on: the fixtures of the tests of web and workers, and a house with one of everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.house import House, house_in
from tests.web.conftest import admin, app, app_on, maintainer, member, plain_app, viewer
from tests.workers.conftest import plain_platform, platform, platform_on

__all__ = [
    "admin",
    "app",
    "app_on",
    "house",
    "maintainer",
    "member",
    "plain_app",
    "plain_platform",
    "platform",
    "platform_on",
    "viewer",
]


@pytest.fixture(scope="module")
def house(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[House]:
    with house_in(tmp_path_factory.mktemp("house"), sqlite_template, redis_url) as made:
        yield made
