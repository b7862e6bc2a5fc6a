"""One caller of the API. What the contract promises of every reply is checked on every reply."""

from __future__ import annotations

import re
from typing import Any

import requests

from tests.e2e.client import read_when_told
from tests.long_waits import LONG_WAIT_SECONDS

Json = Any

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
AGENT_ID = re.compile(r"agent-[0-9a-f]{12}")
NOWHERE = "01900000-0000-7000-8000-000000000000"
"""An id that no resource has."""
_UNSAID: Json = object()


class Caller:
    """token: sent as Bearer; None sends no Authorization."""

    def __init__(self, session: requests.Session, url: str, token: str | None, user: Json = None) -> None:
        self.url = url
        self.token = token
        self.user = user
        self._session = session

    def bearing(self, token: str | None) -> Caller:
        return Caller(self._session, self.url, token)

    def call(self, method: str, path: str, status: int, *, json: Json = _UNSAID, **options: Any) -> requests.Response:
        """The reply, which has the expected status and keeps every promise that holds for all."""
        if json is not _UNSAID:
            options["json"] = json

        def send() -> requests.Response:
            return self.send(method, path, **options)

        reply = send() if method != "GET" or status == 503 else read_when_told(send)
        assert reply.status_code == status, f"{method} {path}: {reply.status_code}, not {status}: {reply.text[:600]}"
        return reply

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """The reply, whatever its status. path: below /api, or a whole address."""
        headers = {**({"Authorization": f"Bearer {self.token}"} if self.token else {}), **options.pop("headers", {})}
        address = path if path.startswith("http") else f"{self.url}/api{path}"
        reply = self._session.request(method, address, headers=headers, timeout=LONG_WAIT_SECONDS, **options)
        check_reply(reply)
        return reply

    def get(self, path: str, expected: int = 200, /, **params: Any) -> Json:
        return self.call("GET", path, expected, params=params).json()

    def post(self, path: str, body: Json = _UNSAID, status: int = 200, **options: Any) -> Json:
        reply = self.call("POST", path, status, json={} if body is _UNSAID else body, **options)
        return reply.json() if reply.content else None

    def patch(self, path: str, body: Json, status: int = 200) -> Json:
        return self.call("PATCH", path, status, json=body).json()

    def put(self, path: str, body: Json, status: int = 200) -> Json:
        reply = self.call("PUT", path, status, json=body)
        return reply.json() if reply.content else None

    def delete(self, path: str, status: int) -> Json:
        reply = self.call("DELETE", path, status)
        return reply.json() if reply.content else None

    def all_of(self, path: str, key: str, **params: Any) -> list[Json]:
        """Every row of a list, by its cursor."""
        rows: list[Json] = []
        page = self.get(path, **params)
        rows += page[key]
        while page["nextCursor"]:
            page = self.get(path, **params, cursor=page["nextCursor"])
            rows += page[key]
        return rows


def check_reply(reply: requests.Response) -> None:
    """What the contract says of every reply."""
    where = f"{reply.request.method} {reply.request.url}: {reply.status_code} {reply.text[:300]}"
    assert reply.status_code < 500 or reply.status_code == 503, where
    assert reply.headers.get("X-Request-ID"), f"no X-Request-ID: {where}"
    if reply.status_code == 503:
        assert reply.headers.get("Retry-After"), where
    if reply.status_code < 400 or reply.status_code >= 500 or reply.request.method == "HEAD":
        return
    assert reply.headers["Content-Type"].split(";")[0] == "application/json", where
    body = reply.json()
    assert "requestId" not in body, where
    assert isinstance(body["error"], str), where
    match reply.status_code:
        case 400:
            assert body["error"] == "Validation error", where
            check_faults(body, where)
        case 401:
            assert body in ({"error": "Invalid or expired token"}, {"error": "Invalid credentials"}), where
        case 403:
            assert body == {"error": "Forbidden"}, where
        case 404:
            assert body == {"error": "Resource not found"}, where
        case 405:
            assert reply.headers.get("Allow"), where
        case 409:
            assert body["error"] == "Conflict", where
            assert set(body) == {"error", "details"}, where
            assert set(body["details"]) == {"field", "message"}, where
        case 429:
            assert int(reply.headers["Retry-After"]) >= 1, where


def check_faults(body: Json, where: str) -> None:
    assert set(body["details"]) == {"field", "message"}, where
    if "errors" in body:
        assert len(body["errors"]) > 1, where
        assert body["errors"][0] == body["details"], where
        assert all(set(fault) == {"field", "message"} for fault in body["errors"]), where
    else:
        assert set(body) == {"error", "details"}, where


def faults(body: Json) -> dict[str, str]:
    """What a 400 says of each field."""
    return {fault["field"]: fault["message"] for fault in body.get("errors", [body["details"]])}


def check_time(text: Json) -> None:
    assert isinstance(text, str), text
    assert TIME.fullmatch(text), text
