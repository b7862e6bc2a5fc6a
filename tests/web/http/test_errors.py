"""Every error in the form of the contract."""

from __future__ import annotations

import http.client
import json
import re
import socket
from pathlib import Path

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
from tests.web.world import served
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


MALFORMED = {
    b"NONSENSE": 400,
    b"GET /api/health/live HTTP/9.9": 400,
    b"GET /api/health/live HTTP/1.1\r\nHost: a\r\nHost: b": 400,
    b"GET /api/health/live HTTP/1.1\r\nHost: a\r\nExpect: tea": 417,
    b"POST /api/tasks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked, tea": 501,
    b"GET /%s HTTP/1.1" % (b"a" * 5000): 414,
}


@pytest.mark.usefixtures("plain_app")
def test_a_request_that_the_server_can_not_read_is_refused_in_the_form_of_every_error(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as log, served(log) as url:
        for head, status in MALFORMED.items():
            reply, content = _answered(url, head)
            said = json.loads(content)
            request_id = reply.headers["X-Request-ID"]
            assert (reply.status, reply.headers["Content-Type"]) == (status, "application/json"), head
            assert said["error"] == ("Validation error" if status == 400 else "Request refused")
            assert said["details"]["field"] == "request"
            assert said["details"]["message"].startswith("The request could not be read: ")
            (line,) = [line for line in path.read_text().splitlines() if f'"{request_id}"' in line]
            assert json.loads(line)["event"] == "a request could not be read"

        reply, content = _answered(url, b"GET / HTTP/1.1\r\nHost: a\r\nCookie: " + b"a" * 66_000)
    assert (reply.status, reply.headers["Clear-Site-Data"]) == (431, '"cookies"')
    assert b"Load the page again" in content
    assert reply.headers["X-Request-ID"] in path.read_text()


def _answered(url: str, head: bytes) -> tuple[http.client.HTTPResponse, bytes]:
    """The reply to a request with this head, and its content."""
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 60) as connection:
        connection.sendall(head + b"\r\n\r\n")
        reply = http.client.HTTPResponse(connection)
        reply.begin()
        return reply, reply.read()


def test_a_body_over_the_cap_is_a_413(plain_member: FlaskClient) -> None:
    reply = plain_member.post("/api/tokens", json={"name": "x" * 2**20})

    assert (reply.status_code, reply.json) == (413, {"error": "Request body too large"})
