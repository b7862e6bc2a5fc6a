"""What the attacks are made on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.house import House, house_in


@pytest.fixture(scope="module")
def house(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[House]:
    with house_in(tmp_path_factory.mktemp("house"), sqlite_template, redis_url) as made:
        yield made
