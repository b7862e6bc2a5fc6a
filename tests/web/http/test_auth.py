"""Who gets in: every route for everybody who is not allowed, and every way to forge or reuse a token."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from flask import Flask

from common.models.account import User
from common.services.agent_api.agent_api import register_agent
from common.services.people import login_tokens
from common.values.states import Role
from tests import builders
from web.http.auth import check_rules, rule_of

INVALID = {"error": "Invalid or expired token"}

PUBLIC = {
    "accounts.log_in", "accounts.refresh", "health.read_health", "health.read_liveness", "health.read_readiness",
    "openapi.openapi", "client.client", "feed.root", "feed.ws",  # a socket authenticates by its first message
    "git.serve", "git.show",  # git sends Basic; the view checks the password
    "gateway.pass_on",  # the CLIs send the token in headers of their own; the view checks it
    "webhooks.receive_gitea",  # Gitea signs; the view checks the signature
}  # fmt: skip
"""What may be called without a token. Whatever is added here is open to the whole network."""


def test_every_route_says_who_may_call_it(plain_app: Flask) -> None:
    check_rules(plain_app)


def test_only_what_is_listed_is_open(plain_app: Flask) -> None:
    open_to_all = set()
    for endpoint in plain_app.view_functions:
        rule = rule_of(plain_app, endpoint)
        if rule is not None and rule.authenticate is None and not endpoint.startswith("page."):
            open_to_all.add(endpoint)

    assert open_to_all <= PUBLIC


def _calls(app: Flask) -> list[tuple[str, str]]:
    """Every method and path that wants a token, with ids that nothing has."""
    values = {"id": "0190a1b2-0000-7000-8000-000000000000", "agent_id": "agent-0123456789ab",
              "question_id": "q-0190a1b2-0000-7000-8000-000000000000"}  # fmt: skip
    calls = []
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            ruled = rule_of(app, rule.endpoint)
            if ruled is None or ruled.authenticate is None or rule.websocket:
                continue
            path = rule.rule
            for name, converter in rule._converters.items():
                kind = path[: path.index(f"{name}>")].rpartition("<")[2].rstrip(":")
                path = path.replace(f"<{kind}:{name}>" if kind else f"<{name}>", values.get(kind, "x"))
                assert converter is not None
            calls += [(method, path) for method in rule.methods or () if method not in {"HEAD", "OPTIONS"}]
    return calls


def test_no_route_answers_without_a_token(plain_app: Flask) -> None:
    client = plain_app.test_client()
    answers = {call: client.open(call[1], method=call[0]) for call in _calls(plain_app)}

    assert len(answers) > 10
    assert {call: (reply.status_code, reply.json) for call, reply in answers.items()} == dict.fromkeys(
        answers, (401, INVALID)
    )


ACCOUNT_ROUTES = [
    ("GET", "/api/users", Role.ADMIN),
    ("POST", "/api/users", Role.ADMIN),
    ("PATCH", "/api/users/0190a1b2-0000-7000-8000-000000000000", Role.ADMIN),
    ("DELETE", "/api/users/0190a1b2-0000-7000-8000-000000000000", Role.ADMIN),
    ("POST", "/api/agents/enrolment-tokens", Role.ADMIN),
    ("POST", "/api/jobs/0190a1b2-0000-7000-8000-000000000000/retry", Role.MAINTAINER),
    ("GET", "/api/jobs", Role.VIEWER),
    ("GET", "/api/events", Role.VIEWER),
    ("GET", "/api/tokens", Role.VIEWER),
    ("GET", "/api/auth/me", Role.VIEWER),
]


@pytest.mark.parametrize("role", list(Role))
def test_each_role_gets_where_it_may_and_no_further(plain_app: Flask, role: Role) -> None:
    client = builders.client_of(plain_app, builders.a_user("somebody", role))

    for method, path, least in ACCOUNT_ROUTES:
        status = client.open(path, method=method).status_code
        assert (status == 403) == (role < least), (method, path, status)


# -- forged and misused tokens (S9) -----------------------------------------------------------------------------------


@pytest.fixture
def session(plain_app: Flask) -> dict[str, Any]:
    builders.a_user("mia")
    reply = plain_app.test_client().post(
        "/api/auth/login", json={"username": "mia", "password": builders.PASSWORD}
    )  # fmt: skip
    assert reply.status_code == 200
    body: dict[str, Any] = reply.json
    return body


def _claims(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def _signed(claims: dict[str, Any], **headers: Any) -> str:
    return jwt.encode(claims, login_tokens.signing_key(), "HS256", headers=headers or None)


def _raw(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims)]
    return ".".join([*parts, signature])


Forge = Callable[[dict[str, Any]], str]

FORGED: dict[str, Forge] = {
    "alg none": lambda claims: _raw({"alg": "none", "typ": "JWT"}, claims),
    "another key": lambda claims: jwt.encode(claims, "x" * 64, "HS256"),
    "another algorithm": lambda claims: jwt.encode(claims, login_tokens.signing_key(), "HS512"),
    "a key id": lambda claims: _signed(claims, kid="../../dev/null"),
    "a key address": lambda claims: _signed(claims, jku="https://evil.example/keys"),
    "an unknown extension": lambda claims: _signed(claims, crit=["exp2"], exp2=1),
    "no expiry": lambda claims: _signed({key: value for key, value in claims.items() if key != "exp"}),
    "expired": lambda claims: _signed({**claims, "exp": int(time.time()) - 60, "iat": int(time.time()) - 120}),
    "another audience": lambda claims: _signed({**claims, "aud": "aiworker-agent"}),
    "another issuer": lambda claims: _signed({**claims, "iss": "evil"}),
    "not valid yet": lambda claims: _signed({**claims, "nbf": int(time.time()) + 600}),
    "issued in the future": lambda claims: _signed({**claims, "iat": int(time.time()) + 600}),
    "a session that is a list": lambda claims: _signed({**claims, "sid": ["x"]}),
    "another subject": lambda claims: _signed({**claims, "sub": "0190a1b2-0000-7000-8000-000000000000"}),
    "another epoch": lambda claims: _signed({**claims, "epoch": 7}),
    "dots": lambda _claims: "..",
}


def test_a_forged_token_is_a_401(plain_app: Flask, session: dict[str, Any]) -> None:
    claims = _claims(session["accessToken"])

    for name, forge in FORGED.items():
        reply = builders.client_with(plain_app, forge(claims)).get("/api/auth/me")
        assert (reply.status_code, reply.json) == (401, INVALID), name
    assert builders.client_with(plain_app, _signed(claims)).get("/api/auth/me").status_code == 200


def test_a_token_that_was_accepted_is_refused_once_it_has_expired(
    plain_app: Flask, session: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = _signed({**_claims(session["accessToken"]), "exp": int(time.time()) + 60})
    client = builders.client_with(plain_app, token)
    assert client.get("/api/auth/me").status_code == 200

    # As if a minute had passed.
    monkeypatch.setattr(login_tokens, "LEEWAY_SECONDS", -61)
    reply = client.get("/api/auth/me")

    assert (reply.status_code, reply.json) == (401, INVALID)


def test_a_refresh_token_opens_no_route(plain_app: Flask, session: dict[str, Any]) -> None:
    assert builders.client_with(plain_app, session["refreshToken"]).get("/api/auth/me").status_code == 401


def test_an_access_token_refreshes_nothing(plain_app: Flask, session: dict[str, Any]) -> None:
    reply = plain_app.test_client().post("/api/auth/refresh", json={"refreshToken": session["accessToken"]})

    assert (reply.status_code, reply.json) == (401, INVALID)


@pytest.mark.parametrize("header", ["Basic {}", "{}", "Bearer {} {}"])
def test_only_one_bearer_counts(plain_app: Flask, session: dict[str, Any], header: str) -> None:
    token = session["accessToken"]
    reply = plain_app.test_client().get("/api/auth/me", headers={"Authorization": header.format(token, token)})

    assert (reply.status_code, reply.json) == (401, INVALID)


def test_an_api_token_is_no_more_than_its_role(app: Flask, admin_user: User) -> None:
    client = builders.client_with(app, builders.a_token(admin_user, role=Role.VIEWER))

    assert client.get("/api/auth/me").json["user"]["role"] == "viewer"
    assert client.get("/api/users").status_code == 403


def test_an_agent_is_known_and_has_no_business_at_a_persons_route(app: Flask) -> None:
    _agent, token = register_agent(pod_name="pod", capabilities=[], driver="scripted", version="1", slots=1)
    client = builders.client_with(app, token)

    for method, path, _least in ACCOUNT_ROUTES:
        assert client.open(path, method=method).status_code == 403, (method, path)


AGENT_ROUTES = [
    ("/api/runner/register", {}),
    ("/api/runner/heartbeat", {"runIds": []}),
    ("/api/runner/runs/00000000-0000-7000-8000-000000000000/logs", {"lines": []}),
]


@pytest.mark.parametrize(("path", "body"), AGENT_ROUTES)
def test_a_person_is_known_and_has_no_business_at_an_agents_route(
    app: Flask, admin_user: User, path: str, body: dict[str, Any]
) -> None:
    reply = builders.client_of(app, admin_user).post(path, json=body)

    assert (reply.status_code, reply.json) == (403, {"error": "Forbidden"})


@pytest.mark.parametrize(("path", "body"), AGENT_ROUTES)
def test_an_unknown_token_is_a_401_at_an_agents_route(plain_app: Flask, path: str, body: dict[str, Any]) -> None:
    for token in ("awa_" + "x" * 43, "aiw_" + "x" * 43, "x"):
        reply = builders.client_with(plain_app, token).post(path, json=body)
        assert (reply.status_code, reply.json) == (401, INVALID)
