"""Providers of models: what administrators may add, what the environment names, and that no key comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.models.account import User
from common.models.spend import ModelProvider
from common.services.spend.model_providers import find_routes, find_usable, usable_providers
from common.services.spend.model_tokens import models_for_run
from common.settings import settings
from common.transaction import snapshot
from common.values.states import Role
from tests import builders
from tests.web.conftest import AppOn
from tests.web.factories import a_live_run, a_project, a_task
from tests.web.world import all_of

KEY = "sk-ant-very-secret-key"
BODY: dict[str, Any] = {"name": "main", "api": "anthropic", "baseUrl": "https://api.anthropic.com/", "key": KEY}


def _create(client: FlaskClient, **values: object) -> dict[str, Any]:
    reply = client.post("/api/model-providers", json={**BODY, **values})
    assert reply.status_code == 201, reply.json
    made: dict[str, Any] = reply.json["modelProvider"]
    return made


def _listed(client: FlaskClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/model-providers").json["modelProviders"]
    return found


def test_a_provider_is_created_without_showing_its_key(admin: FlaskClient, admin_user: User) -> None:
    prices = {"claude-x": {"input": 3, "output": 15.5, "cached": 0.3, "cacheWrite": 3.75}}

    made = _create(admin, models=["claude-x", "claude-x"], prices=prices)

    times = {made.pop(name) for name in ("createdAt", "updatedAt")}
    assert len(times) == 1
    assert made == {
        "id": made["id"], "name": "main", "api": "anthropic", "baseUrl": "https://api.anthropic.com", "login": "key",
        "hasKey": True, "models": ["claude-x"], "prices": prices, "enabled": True, "source": "stored",
        "fallback": None, "fallbackModel": None, "createdBy": admin_user.username,
    }  # fmt: skip
    assert KEY not in json.dumps(_listed(admin))
    (row,) = all_of(ModelProvider)
    assert KEY not in str(vars(row))
    with snapshot() as read:
        found = find_usable(read, "main")
    assert found is not None
    assert found.key == KEY
    assert KEY not in repr(found)


def test_a_provider_is_changed_and_deleted(admin: FlaskClient) -> None:
    made = _create(admin)
    path = f"/api/model-providers/{made['id']}"

    changed = admin.patch(path, json={"baseUrl": "http://10.0.0.7:8080", "enabled": False, "models": ["m"]})
    assert changed.status_code == 200
    assert {name: changed.json["modelProvider"][name] for name in ("baseUrl", "enabled", "models", "hasKey")} == {
        "baseUrl": "http://10.0.0.7:8080", "enabled": False, "models": ["m"], "hasKey": True,
    }  # fmt: skip
    assert admin.patch(path, json={"login": "none"}).json["modelProvider"]["hasKey"] is False
    assert admin.delete(path).status_code == 204
    assert _listed(admin) == []
    assert admin.delete(path).status_code == 404


def test_members_see_no_facts_about_keys(app: Flask, admin: FlaskClient, member: FlaskClient) -> None:
    made = _create(admin)

    assert _listed(member) == [
        {"id": made["id"], "name": "main", "api": "anthropic", "models": [], "enabled": True, "source": "stored"}
    ]
    assert member.get(f"/api/model-providers/{made['id']}").status_code == 403


@pytest.mark.parametrize(
    ("values", "field", "says"),
    [
        ({"api": "cohere"}, "api", "Must be one of: anthropic, openai, gemini"),
        ({"api": "openai", "login": "subscription"}, "login", "anthropic only"),
        ({"key": None}, "key", "Must not be null"),
        ({"login": "none"}, "key", "takes no key"),
        ({"name": "gemini"}, "name", "the name of another API"),
        ({"baseUrl": "ftp://x"}, "baseUrl", "http or https"),
        ({"baseUrl": "https://me:pass@x"}, "baseUrl", "no user name or password"),
        ({"baseUrl": "http://127.0.0.7:3000"}, "baseUrl", "platform's own address"),
        ({"prices": {"m": {"input": 1}}}, "prices.m.output", "Required"),
        ({"hasKey": True}, "hasKey", "Read-only field"),
    ],
)
def test_wrong_values_are_refused(plain_admin: FlaskClient, values: dict[str, object], field: str, says: str) -> None:
    reply = plain_admin.post("/api/model-providers", json={**BODY, **values})

    assert reply.status_code == 400
    assert reply.json["details"]["field"] == field
    assert says in reply.json["details"]["message"]
    assert all_of(ModelProvider) == []
    assert KEY not in reply.text


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("ANTHROPIC_BASE_URL", "OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1/")
    return monkeypatch


def _admin(app_on: AppOn, url: str) -> FlaskClient:
    return builders.client_of(app_on(url), builders.a_user("ada", Role.ADMIN))


def test_the_environments_providers_are_there_at_once(
    app_on: AppOn, sqlite_database_url: str, environment: pytest.MonkeyPatch
) -> None:
    admin = _admin(app_on, sqlite_database_url)

    found = {one["name"]: one for one in _listed(admin)}

    shown = ("baseUrl", "login", "hasKey", "source", "enabled")
    assert {name: tuple(one[key] for key in shown) for name, one in found.items()} == {
        "anthropic": ("https://api.anthropic.com", "key", True, "environment", True),
        "openai": ("http://127.0.0.1:11434/v1", "none", False, "environment", True),
    }
    assert KEY not in json.dumps(list(found.values()))
    for reply in (
        admin.patch(f"/api/model-providers/{found['anthropic']['id']}", json={"enabled": False}),
        admin.delete(f"/api/model-providers/{found['anthropic']['id']}"),
    ):
        assert reply.status_code == 409
        assert "change the variables of anthropic there" in reply.json["details"]["message"]


def test_a_run_gets_an_address_for_each_api(app: Flask, admin: FlaskClient) -> None:
    run = a_live_run(a_task(a_project()))
    with snapshot() as read:
        assert models_for_run(read, run, "awm_token") is None

    _create(admin, name="first")
    _create(admin, name="second", models=["claude-special"])
    base = f"{settings().models.gateway_url}/gateway"
    with snapshot() as read:
        assert len(usable_providers(read)) == 2
        given = models_for_run(read, run, "awm_token")
        assert given is not None
        assert (given.token, given.addresses) == ("awm_token", {"anthropic": f"{base}/first"})
        assert models_for_run(read, run, None) is None
    run.model = "claude-special"
    with snapshot() as read:
        special = models_for_run(read, run, "awm_token")
    assert special is not None
    assert special.addresses == {"anthropic": f"{base}/second"}


# Fallbacks


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"fallback": "main"}, "fallback"),
        ({"fallback": "other-api"}, "fallback"),
        ({"fallback": "second", "fallbackModel": "claude-opus-4-8"}, "fallbackModel"),
    ],
)
def test_a_fallback_that_could_take_no_call_is_refused(
    plain_admin: FlaskClient, values: dict[str, object], field: str
) -> None:
    _create(plain_admin, name="second", models=["claude-haiku-4-5"])
    _create(plain_admin, name="other-api", api="openai")
    made = _create(plain_admin)

    created = plain_admin.post("/api/model-providers", json={**BODY, "name": "third", **values})
    changed = plain_admin.patch(f"/api/model-providers/{made['id']}", json=values)

    replies = [changed] if values.get("fallback") == "main" else [created, changed]
    for reply in replies:
        assert reply.status_code == 400, reply.json
        assert field in str(reply.json["details"])
    assert next(one for one in _listed(plain_admin) if one["name"] == "main")["fallback"] is None


def test_calls_pass_from_fallback_to_fallback(plain_admin: FlaskClient) -> None:
    _create(plain_admin, name="c", fallbackModel="claude-haiku-4-5")
    second = _create(plain_admin, name="b", fallback="c", fallbackModel="claude-opus-4-8")
    _create(plain_admin, name="a", fallback="b")
    assert _routes("a") == [("a", None), ("b", None), ("c", "claude-opus-4-8"), ("c", "claude-haiku-4-5")]

    plain_admin.patch(f"/api/model-providers/{second['id']}", json={"enabled": False})

    assert _routes("a") == [("a", None)]


def test_a_fallback_follows_the_name_of_its_provider(admin: FlaskClient) -> None:
    second = _create(admin, name="second")
    main = _create(admin, fallback="second", fallbackModel="claude-opus-4-8")
    path = f"/api/model-providers/{second['id']}"

    assert admin.patch(path, json={"name": "next"}).status_code == 200
    assert admin.get(f"/api/model-providers/{main['id']}").json["modelProvider"]["fallback"] == "next"
    refused = admin.patch(path, json={"api": "openai"})
    assert refused.status_code == 409
    assert admin.delete(path).status_code == 204

    left = admin.get(f"/api/model-providers/{main['id']}").json["modelProvider"]
    assert (left["fallback"], left["fallbackModel"]) == (None, None)


def _routes(name: str) -> list[tuple[str, str | None]]:
    with snapshot() as read:
        return [(route.provider.name, route.model) for route in find_routes(read, name)]
