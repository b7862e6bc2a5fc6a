"""A platform without processes of its own but the supervisor: jobs are run here, one after the other, by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.database import engines
from common.providers.forge import forge, local_forge
from common.providers.runtime import runtime
from common.settings import settings, socket_path
from common.telemetry.logs import configure_logs
from tests import job_messages, version_guard
from tests.long_timeouts import use_long_timeouts
from tests.providers.runtime_supervisor import Supervisor
from tests.workers.platform import Platform

version_guard.watch()

SECRET_KEY = "a secret key that only tests use, 32 characters and more"


def _forget() -> None:
    for cached in (settings, forge, local_forge, runtime):
        clear = getattr(cached, "cache_clear", None)
        if clear is not None:
            clear()


@pytest.fixture
def platform_on(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Makes a platform on a database that has the schema; `is_local=False`: one without a supervisor."""
    data = tmp_path / "d"
    monkeypatch.setenv("AIWORKER_DATA_DIR", str(data))
    monkeypatch.setenv("AIWORKER_REDIS_URL", redis_url)
    monkeypatch.setenv("AIWORKER_SECRET_KEY", SECRET_KEY)
    use_long_timeouts(monkeypatch)
    made: list[Supervisor] = []

    def make(database_url: str, *, is_local: bool = True) -> Platform:
        monkeypatch.setenv("AIWORKER_DATABASE_URL", database_url)
        _forget()
        configure_logs()
        if not is_local:
            return Platform(tmp_path, None)
        socket = socket_path(data, "supervisor")
        socket.parent.mkdir(parents=True, exist_ok=True)
        made.append(Supervisor(settings().runtime.supervisor_dir, socket=socket))
        return Platform(tmp_path, made[0])

    yield make
    for supervisor in made:
        if supervisor.process.poll() is None:
            supervisor.stop()
    job_messages.settle()
    engines.dispose_engines()
    _forget()


@pytest.fixture
def platform(platform_on, database_url: str) -> Platform:  # type: ignore[no-untyped-def]
    """Once on SQLite and once on MariaDB."""
    made: Platform = platform_on(database_url)
    return made


@pytest.fixture
def plain_platform(platform_on, sqlite_database_url: str) -> Platform:  # type: ignore[no-untyped-def]
    """On SQLite alone."""
    made: Platform = platform_on(sqlite_database_url)
    return made


@pytest.fixture
def remote_platform(platform_on, database_url: str) -> Platform:  # type: ignore[no-untyped-def]
    """Once on SQLite and once on MariaDB, for a test that runs everything in a cluster."""
    made: Platform = platform_on(database_url, is_local=False)
    return made


@pytest.fixture
def plain_remote_platform(platform_on, sqlite_database_url: str) -> Platform:  # type: ignore[no-untyped-def]
    """On SQLite alone, for a test that runs everything in a cluster."""
    made: Platform = platform_on(sqlite_database_url, is_local=False)
    return made
