"""One person's changes are limited, so that a script that went wrong harms nobody else."""

from __future__ import annotations

from collections import Counter

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.settings import settings
from common.values.states import Role
from tests.builders import a_token, a_user, client_with

pytestmark = pytest.mark.slow


@pytest.fixture
def limited(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setenv("AIWORKER_WRITES_PER_MINUTE", "5")
    settings.cache_clear()
    return app


def test_more_than_the_most_is_refused_and_not_written_and_others_go_on(limited: Flask, admin: FlaskClient) -> None:
    max_ = a_user("max", Role.MAINTAINER)
    clients = [client_with(limited, a_token(max_)), client_with(limited, a_token(max_))]
    replies = [
        clients[number % 2].post("/api/projects", json={"name": f"Project {number}", "replicas": 1})
        for number in range(24)
    ]

    counts = Counter(reply.status_code for reply in replies)
    assert set(counts) == {201, 429}
    # The minute may have turned once meanwhile.
    assert 5 <= counts[201] <= 10
    refused = next(reply for reply in replies if reply.status_code == 429)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert clients[0].get("/api/projects").json["total"] == counts[201]
    assert admin.post("/api/projects", json={"name": "Another's"}).status_code == 201
