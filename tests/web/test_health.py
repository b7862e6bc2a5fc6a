"""What /api/health says, and that no part of the platform can make it wait."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask

from common.models.journal import Mark
from common.settings import settings
from common.transaction import Transaction, transactional
from tests.web.conftest import AppOn
from web import health as examined
from web.health import Examination, Part


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that answers is waited for, however busy the machine is."""
    monkeypatch.setattr(examined, "ANSWER_SECONDS", 60.0)


@transactional
def _swept(tx: Transaction, ago: timedelta) -> None:
    tx.session.add(Mark(name="sweep", at=datetime.now(UTC) - ago, value={}))


def test_health_has_the_contracts_words_for_the_contracts_parts(app: Flask) -> None:
    reply = app.test_client().get("/api/health")

    assert reply.status_code == 200
    assert set(reply.json) == {"status", "timestamp", "services", "backends", "disk", "sandbox", "version"}
    assert list(reply.json["services"]) == ["mysql", "redis", "gitea", "kubernetes"]
    assert reply.json["services"]["mysql"] == "connected"
    assert reply.json["services"]["redis"] == "connected"
    assert reply.json["services"]["gitea"] == "reachable"
    # No supervisor runs in this test.
    assert reply.json["services"]["kubernetes"] == "disconnected"
    assert reply.json["status"] == "degraded"
    assert reply.json["timestamp"].endswith("Z")
    assert reply.json["disk"] == "ok"
    assert reply.json["sandbox"] is None
    assert reply.json["version"] == "1.0.0"


def test_without_redis_the_platform_is_down(
    app_on: AppOn, sqlite_database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app = app_on(sqlite_database_url)
    monkeypatch.setenv("AIWORKER_REDIS_URL", f"unix://{tmp_path}/nothing.sock")
    settings.cache_clear()

    reply = app.test_client().get("/api/health")

    assert (reply.status_code, reply.json["status"], reply.headers["Retry-After"]) == (503, "down", "2")
    assert reply.json["services"]["redis"] == "disconnected"
    assert app.test_client().get("/api/health/live").status_code == 200


def test_a_process_without_the_database_is_not_ready(plain_app: Flask) -> None:
    plain_app.extensions["examinations"] = {"readiness": Examination((_part("mysql", _gone),))}

    ready = plain_app.test_client().get("/api/health/ready")

    assert (ready.status_code, ready.headers["Retry-After"]) == (503, "2")


def _part(name: str, ask: object) -> Part:
    assert callable(ask)
    return Part(name, ask, "connected", "disconnected")


def _fine() -> None:
    """Answers."""


def _gone() -> None:
    raise ConnectionError("gone")


@pytest.fixture
def swept(plain_app: Flask) -> Flask:
    _swept(timedelta(seconds=3))
    return plain_app


def examine(*parts: Part) -> examined.Health:
    examination = Examination(parts)
    try:
        return examination.health()
    finally:
        examination.close()


@pytest.mark.parametrize(
    ("lost", "status"),
    [(None, "ok"), ("mysql", "down"), ("redis", "down"), ("gitea", "degraded"), ("kubernetes", "degraded")],
)
def test_what_is_vital_decides_between_down_and_degraded(swept: Flask, lost: str | None, status: str) -> None:
    names = ("mysql", "redis", "gitea", "kubernetes")

    found = examine(*(_part(name, _gone if name == lost else _fine) for name in names))

    assert found.status == status
    assert [name for name, word in found.services.items() if word == "disconnected"] == ([lost] if lost else [])


def test_a_late_sweep_is_a_degradation(plain_app: Flask) -> None:
    _swept(timedelta(seconds=90))

    found = examine(_part("mysql", _fine), _part("redis", _fine))

    assert (found.status, found.is_sweep_late) == ("degraded", True)


def test_a_part_that_hangs_is_given_up_and_not_asked_again(swept: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examined, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(examined, "GOOD_FOR_SECONDS", 0.0)
    asked: list[int] = []
    end = threading.Event()

    def hang() -> None:
        asked.append(1)
        end.wait(60)

    examination = Examination((_part("mysql", _fine), _part("redis", _fine), _part("gitea", hang)))
    try:
        for _time in range(3):
            found = examination.health()
            assert (found.status, found.services["gitea"]) == ("degraded", "disconnected")
        assert asked == [1]
        end.set()
        while examination.health().services["gitea"] != "connected":
            pass
    finally:
        end.set()
        examination.close()
