"""Every error in the form of the contract."""

from __future__ import annotations

import json
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.errors import (
    Busy,
    Conflict,
    Forbidden,
    IllegalTransition,
    Invalid,
    KeyReused,
    NotFound,
    ProviderUnavailable,
    Unauthenticated,
)
from tests.web.conftest import AppOn
from web.http.auth import public
from web.http.errors import Faults, TooManyRequests

RAISED: dict[str, tuple[Exception, int, dict[str, object]]] = {
    "invalid": (
        Invalid("projectId", "Required"),
        400,
        {"error": "Validation error", "details": {"field": "projectId", "message": "Required"}},
    ),
    "faults": (
        Faults([("a", "Required"), ("b", "Unknown field")]),
        400,
        {
            "error": "Validation error",
            "details": {"field": "a", "message": "Required"},
            "errors": [{"field": "a", "message": "Required"}, {"field": "b", "message": "Unknown field"}],
        },
    ),
    "unauthenticated": (Unauthenticated(), 401, {"error": "Invalid or expired token"}),
    "forbidden": (Forbidden("maintainer is needed"), 403, {"error": "Forbidden"}),
    "not-found": (NotFound("task 1"), 404, {"error": "Resource not found"}),
    "conflict": (
        Conflict("the name x is taken", field="name"),
        409,
        {"error": "Conflict", "details": {"field": "name", "message": "the name x is taken"}},
    ),
    "transition": (
        IllegalTransition("task 1 is backlog"),
        409,
        {"error": "Conflict", "details": {"field": "state", "message": "task 1 is backlog"}},
    ),
    "key-reused": (KeyReused("k"), 422, {"error": "Idempotency-Key was used with another request"}),
    "too-many": (TooManyRequests(12.2), 429, {"error": "Too many requests"}),
}


@pytest.fixture
def raising_app(app_on: AppOn, sqlite_database_url: str) -> Flask:
    """The app with one route more, which raises what the test puts into `raises`."""
    app = app_on(sqlite_database_url)

    @public
    def fail() -> None:
        raise app.config["RAISES"]

    app.add_url_rule("/api/fail", "fail", fail)
    return app


@pytest.mark.parametrize(("raised", "status", "body"), RAISED.values(), ids=RAISED.keys())
def test_a_callers_error_has_its_status_and_its_form(
    raising_app: Flask, raised: Exception, status: int, body: dict[str, object]
) -> None:
    raising_app.config["RAISES"] = raised

    reply = raising_app.test_client().get("/api/fail")

    assert (reply.status_code, reply.json) == (status, body)


@pytest.mark.parametrize("raised", [Busy("locked"), ProviderUnavailable("gitea", retry_after_seconds=7)])
def test_what_may_be_sent_again_is_a_503_that_says_when(raising_app: Flask, raised: Exception) -> None:
    raising_app.config["RAISES"] = raised

    reply = raising_app.test_client().get("/api/fail", headers={"X-Request-ID": "abc"})

    assert reply.status_code == 503
    assert reply.json == {"error": "Service unavailable", "requestId": "abc"}
    assert reply.headers["Retry-After"] == ("7" if isinstance(raised, ProviderUnavailable) else "2")


def test_a_bug_is_a_500_that_says_its_request_and_nothing_else(raising_app: Flask) -> None:
    raising_app.config["RAISES"] = RuntimeError("select password from users at 10.0.0.1")

    reply = raising_app.test_client().get("/api/fail")

    assert reply.status_code == 500
    assert reply.json == {"error": "Internal server error", "requestId": reply.headers["X-Request-ID"]}
    assert re.fullmatch(r"req-[0-9a-f-]{36}", reply.json["requestId"])


@pytest.mark.parametrize(
    "path",
    ["/api", "/nothing", "/api/users/", "/api/%2e%2e/users", "/api/jobs/1", "/api/jobs/%00"],
)
def test_a_path_that_does_not_exist_is_a_404_in_json(plain_admin: FlaskClient, path: str) -> None:
    reply = plain_admin.get(path)

    assert (reply.status_code, reply.json) == (404, {"error": "Resource not found"})


@pytest.mark.parametrize("method", ["DELETE", "OPTIONS", "TRACE"])
def test_a_method_that_does_not_exist_is_a_405_that_names_those_that_do(plain_admin: FlaskClient, method: str) -> None:
    reply = plain_admin.open("/api/users", method=method, headers={"X-HTTP-Method-Override": "GET"})

    assert reply.status_code == 405
    assert reply.json == {"error": "Method not allowed"}
    assert set(reply.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST"}


def test_a_request_id_comes_back(plain_app: Flask) -> None:
    reply = plain_app.test_client().get("/api/health/live", headers={"X-Request-ID": "x" * 100})

    assert reply.headers["X-Request-ID"] == "x" * 100


@pytest.mark.parametrize("given", ["x" * 101, "a b"])
def test_a_request_id_that_can_not_be_repeated_is_replaced(plain_app: Flask, given: str) -> None:
    reply = plain_app.test_client().get("/api/health/live", headers={"X-Request-ID": given})

    assert re.fullmatch(r"req-[0-9a-f-]{36}", reply.headers["X-Request-ID"])


@pytest.mark.parametrize("content_type", ["text/plain", ""])
def test_a_body_that_is_not_json_is_a_415(plain_member: FlaskClient, content_type: str) -> None:
    reply = plain_member.post("/api/tokens", data=json.dumps({"name": "a"}), content_type=content_type)

    assert (reply.status_code, reply.json) == (415, {"error": "Unsupported media type"})


def test_no_page_of_another_site_may_read_a_reply(plain_member: FlaskClient) -> None:
    reply = plain_member.get("/api/auth/me", headers={"Origin": "https://evil.example"})

    assert not [name for name, _value in reply.headers if name.lower().startswith("access-control-")]
    assert "Set-Cookie" not in reply.headers
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]


def test_a_body_over_the_cap_is_a_413(plain_member: FlaskClient) -> None:
    reply = plain_member.post("/api/tokens", json={"name": "x" * 2**20})

    assert (reply.status_code, reply.json) == (413, {"error": "Request body too large"})
