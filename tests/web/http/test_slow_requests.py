"""Requests that took long are lines of the log."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient

from common.settings import settings
from tests import builders
from tests.web.made import MISSING_ID
from web import app as application


@pytest.fixture
def every_request_takes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function: from its call on, a request takes so many seconds by its process's clock."""

    def takes(seconds: float) -> None:
        clock = itertools.count(step=seconds)
        monkeypatch.setattr(application, "time", SimpleNamespace(perf_counter=lambda: next(clock)))

    return takes


@pytest.fixture
def member(plain_app: Flask, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    client = builders.client_of(plain_app, builders.a_user("mia"))
    monkeypatch.setenv("AIWORKER_SLOW_REQUEST_SECONDS", "2")
    settings.cache_clear()
    return client


def slow_lines(client: FlaskClient, *paths: str) -> list[dict[str, Any]]:
    with structlog.testing.capture_logs() as lines:
        for path in paths:
            client.get(path)
    return [line for line in lines if line["event"] == "a request was slow"]


def test_a_slow_request_is_logged_without_what_it_asked_for(member: FlaskClient, every_request_takes: Any) -> None:
    every_request_takes(2.5)

    lines = slow_lines(member, "/api/tasks?q=secret+plan", f"/api/tasks/{MISSING_ID}", "/api/no-such-path")

    assert [(line["method"], line["route"], line["status"], line["seconds"]) for line in lines] == [
        ("GET", "/api/tasks", 200, 2.5),
        ("GET", "/api/tasks/<id:task_id>", 404, 2.5),
        ("GET", "none", 404, 2.5),
    ]
    assert {line["log_level"] for line in lines} == {"warning"}
    assert len({line["request_id"] for line in lines}) == 3
    assert "secret" not in str(lines)
