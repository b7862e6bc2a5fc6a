"""What the doctor finds of a Redis: on a real one of the test's own, and on what another version says of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from common.settings import settings
from common.values.finding import Finding
from tests.servers import redis_server
from web.doctor.redis_server import examine_redis

Examine = Callable[..., list[Finding]]


@pytest.fixture
def server() -> Iterator[redis.Redis]:
    """A Redis whose settings a test may change."""
    with redis_server() as url, redis.Redis.from_url(url) as client:
        yield client


@pytest.fixture
def examine(server: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Examine]:
    def look(*, user: str = "", is_ours: bool = False) -> list[Finding]:
        path = server.connection_pool.connection_kwargs["path"]
        monkeypatch.setenv("AIWORKER_DATA_DIR", str(tmp_path))
        monkeypatch.setenv("AIWORKER_REDIS_URL", f"unix://{user}{path}")
        settings.cache_clear()
        return list(examine_redis(is_ours=is_ours))

    yield look
    settings.cache_clear()


def wrong(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(one.status, one.says) for one in findings if one.status != "ok"]


@pytest.mark.parametrize(("setting", "value"), [("save", "60 1"), ("appendonly", "yes")])
def test_all_is_well_on_one_that_keeps_what_it_holds(
    server: redis.Redis, examine: Examine, setting: str, value: str
) -> None:
    server.config_set(setting, value)

    found = examine()

    assert wrong(found) == []
    assert found[0].says.startswith("version ")
    assert "maxmemory-policy is noeviction" in [one.says for one in found]


def test_one_that_keeps_nothing_is_named(examine: Examine) -> None:
    (found,) = wrong(examine())

    assert found[0] == "warn"
    assert found[1].startswith("it stores nothing: after a restart")


def test_one_that_throws_away_messages_is_named(server: redis.Redis, examine: Examine) -> None:
    server.config_set("save", "60 1")
    server.config_set("maxmemory-policy", "allkeys-lru")

    (found,) = wrong(examine())

    assert found[0] == "warn"
    assert found[1].startswith("maxmemory-policy is allkeys-lru")


def test_a_replica_is_refused(server: redis.Redis, examine: Examine) -> None:
    server.config_set("save", "60 1")
    server.replicaof("127.0.0.1", "1")

    assert wrong(examine()) == [
        ("fail", "it is a replica and can't be written; set AIWORKER_REDIS_URL to the primary"),
    ]
