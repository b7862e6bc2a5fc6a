"""Settings for a database of the test's own; nothing else of a platform."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.database import engines
from common.settings import settings
from tests import job_messages
from tests.long_timeouts import use_long_timeouts

SECRET_KEY = "a secret key that only tests use, 32 characters and more"


@pytest.fixture
def use_database(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    monkeypatch.setenv("AIWORKER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("AIWORKER_REDIS_URL", redis_url)
    monkeypatch.setenv("AIWORKER_SECRET_KEY", SECRET_KEY)
    use_long_timeouts(monkeypatch)

    def use(url: str) -> None:
        monkeypatch.setenv("AIWORKER_DATABASE_URL", url)
        settings.cache_clear()

    yield use
    job_messages.settle()
    engines.dispose_engines()
    settings.cache_clear()


@pytest.fixture
def on_database(use_database: Callable[[str], None], database_url: str) -> str:
    """The settings name a database with the schema: once SQLite, once MariaDB."""
    use_database(database_url)
    return database_url
