"""Platforms of a test's own: data directories and databases that this process uses one after the other."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.database import engines
from common.settings import settings
from tests import job_messages
from tests.databases import sqlite_url
from tests.web.launcher.backups import SIGNALS, Use, filled


@pytest.fixture
def use(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Use]:
    """Makes this process the platform whose data directory has that name. Returns the directory."""
    for name in ("AIWORKER_SECRET_KEY", "SECRET_KEY", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AIWORKER_REDIS_URL", redis_url)

    def become(name: str, database_url: str | None = None) -> Path:
        job_messages.settle()
        engines.dispose_engines()
        monkeypatch.setenv("AIWORKER_DATA_DIR", str(tmp_path / name))
        monkeypatch.setenv("AIWORKER_DATABASE_URL", database_url or sqlite_url(tmp_path / name / "aiworker.db"))
        settings.cache_clear()
        return tmp_path / name

    yield become
    job_messages.settle()
    engines.dispose_engines()
    settings.cache_clear()


@pytest.fixture
def old(use: Use, sqlite_database_url: str) -> Path:
    """The data directory of a platform on SQLite with something in it."""
    return filled(use("old", sqlite_database_url))


@pytest.fixture
def _no_signal_is_ignored() -> Iterator[None]:
    """As Ctrl-C is by what a shell starts in the background."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
