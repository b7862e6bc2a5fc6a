"""Testing a model provider: one real call, whose answer or failure the administrator reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.values.states import Role
from tests import builders
from tests.web.gateway.conftest import KEY
from tests.web.gateway.upstream import Script, Upstream

LISTED = {
    "anthropic": {"data": [{"id": "claude-opus-4-8"}, {"id": "claude-haiku-4-5"}]},
    "openai": {"data": [{"id": "text-embedding-3"}, {"id": "codex-mini"}, {"id": "gpt-5"}, {"id": "gpt-5-mini"}]},
    "gemini": {"models": [{"name": "models/gemini-pro"}, {"name": "models/gemini-flash"}]},
}
CALLS = {
    "anthropic": ("claude-haiku-4-5", "/v1/messages", "x-api-key", KEY),
    "openai": ("gpt-5-mini", "/v1/chat/completions", "authorization", f"Bearer {KEY}"),
    "gemini": ("gemini-flash", "/v1beta/models/gemini-flash:generateContent", "x-goog-api-key", KEY),
}


@pytest.fixture
def admin(plain_app: Flask) -> FlaskClient:
    return builders.client_of(plain_app, builders.a_user("ada", Role.ADMIN))


def a_provider(admin: FlaskClient, upstream: Upstream, api: str = "anthropic", **values: Any) -> str:
    body = {"name": api, "api": api, "baseUrl": upstream.url, "key": KEY, **values}
    reply = admin.post("/api/model-providers", json=body)
    assert reply.status_code == 201, reply.json
    return f"/api/model-providers/{reply.json['modelProvider']['id']}/test"


@pytest.mark.parametrize("api", CALLS)
def test_a_provider_that_works_is_asked_with_its_key(admin: FlaskClient, provider: Upstream, api: str) -> None:
    model, path, header, value = CALLS[api]
    provider.script = Script([json.dumps(LISTED[api]).encode()])

    reply = admin.post(a_provider(admin, provider, api))

    assert reply.status_code == 200, reply.json
    assert (reply.json["ok"], reply.json["model"], reply.json["error"]) == (True, model, None)
    assert reply.json["latencyMs"] >= 0
    listed, asked = provider.asked
    assert (listed.method, asked.method, asked.target) == ("GET", "POST", path)
    assert listed.headers[header] == asked.headers[header] == value
    assert "Say OK." in asked.body.decode()


def test_a_refused_key_is_said_and_not_shown(admin: FlaskClient, provider: Upstream) -> None:
    said = {"error": {"message": f"invalid x-api-key: {KEY}"}}
    provider.script = Script([json.dumps(said).encode()], status=401)

    reply = admin.post(a_provider(admin, provider, models=["claude-sonnet-4-5"]))

    assert reply.json == {
        "ok": False, "model": "claude-sonnet-4-5", "latencyMs": None,
        "error": "It answered 401: invalid x-api-key: ***",
    }  # fmt: skip


def test_testing_is_for_administrators(plain_app: Flask, admin: FlaskClient, provider: Upstream) -> None:
    path = a_provider(admin, provider)
    maintainer = builders.client_of(plain_app, builders.a_user("max", Role.MAINTAINER))

    assert maintainer.post(path).status_code == 403
    assert admin.post(f"/api/model-providers/{'0' * 8}-0000-4000-8000-{'0' * 12}/test").status_code == 404
    assert provider.asked == []
