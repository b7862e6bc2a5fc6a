"""The command line's client of the API.

The token comes from --token or AIWORKER_TOKEN. On the machine that holds the data, a token is made for the duration of
the command and deleted after it. Errors are raised as ApiError with one line for the terminal.
"""

from __future__ import annotations

import ipaddress
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from importlib import import_module
from urllib.parse import urlsplit

import requests

from common.errors import Misconfigured
from common.settings.whereabouts import look_around
from web.cli.api_error import ApiError
from web.cli.terminal import JsonObject, Terminal

ANSWER_SECONDS = 30.0
TRIES = 3
LOST_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10.0
MOST_ENTRIES = 200
"""Entries of one page of a list, which is the API's limit."""

_KEYLESS = ("/auth/", "/tokens", "/users", "/agents/enrolment-tokens")
"""Routes that ignore an Idempotency-Key: their replies contain a secret."""


class _Lost(Exception):
    """The answer was lost; the request may have been carried out. Its message becomes that of the ApiError."""


class Api:
    """A client of one platform for one user. Leaving its context closes the connection and deletes its own token."""

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self._given_token = token or os.environ.get("AIWORKER_TOKEN") or None
        self.url = (url or os.environ.get("AIWORKER_URL") or look_around().internal_url).rstrip("/")
        if urlsplit(self.url).scheme not in {"http", "https"}:
            raise Misconfigured(f"{self.url} is not an http or https address; check AIWORKER_URL")
        self._made_token: str | None = None
        self._at_end = ExitStack()
        self._session = requests.Session()
        # Requests to this machine must not go through a proxy.
        self._session.trust_env = not _is_loopback(urlsplit(self.url).hostname or "")

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_error: object) -> None:
        self._session.close()
        self._made_token = None
        self._at_end.close()

    def token(self) -> str:
        """The API token. Raises Misconfigured if none was given and this machine holds no platform's data."""
        if self._given_token is not None:
            return self._given_token
        if self._made_token is None:
            _require_data()
            # With a token of the caller's, a command needs none of the database's libraries.
            own_token: Callable[[], AbstractContextManager[str]] = import_module("web.cli.operators").own_token
            self._made_token = self._at_end.enter_context(own_token())
        return self._made_token

    def call(self, method: str, path: str, body: JsonObject | None = None, **query: str | int | None) -> JsonObject:
        """The reply's JSON; empty if it has no body. query: None values are left out.

        A POST carries an Idempotency-Key and is repeated with the same key if its answer is lost or a 503.
        """
        headers = {"Authorization": f"Bearer {self.token()}"}
        is_keyed = method == "POST" and not path.startswith(_KEYLESS)
        if is_keyed:
            headers["Idempotency-Key"] = uuid.uuid4().hex
        asked = {name: value for name, value in query.items() if value is not None}
        for tries_left in reversed(range(TRIES if is_keyed else 1)):
            try:
                reply = self._send(method, path, body, asked, headers)
            except _Lost as lost:
                if not tries_left:
                    raise ApiError(str(lost)) from lost
                time.sleep(LOST_SECONDS)
                continue
            if reply.status_code != 503 or not tries_left:
                break
            time.sleep(min(_seconds(reply.headers.get("Retry-After")), LONGEST_WAIT_SECONDS))
        return self._content(method, path, reply)

    def _send(
        self, method: str, path: str, body: JsonObject | None, query: dict[str, str | int], headers: dict[str, str]
    ) -> requests.Response:
        try:
            return self._session.request(
                method,
                f"{self.url}/api{path}",
                json=body,
                params=query,
                headers=headers,
                timeout=ANSWER_SECONDS,
                allow_redirects=False,
            )
        except requests.Timeout as error:
            raise ApiError(f"{self.url} did not answer within {ANSWER_SECONDS:g} s; look at its log") from error
        except requests.RequestException as error:
            raise _Lost(f"{self.url} can't be reached; start it with `aiworker up`, or set AIWORKER_URL") from error

    def _content(self, method: str, path: str, reply: requests.Response) -> JsonObject:
        try:
            content: JsonObject = reply.json() if reply.content else {}
        except requests.JSONDecodeError as error:
            raise ApiError(f"{self.url} answered {reply.status_code} without JSON; is AIWORKER_URL right?") from error
        if not reply.ok:
            raise ApiError(_fault(method, path, reply.status_code, content))
        return content

    def every(self, path: str, plural: str, *, most: int, **query: str | None) -> Iterator[JsonObject]:
        """The first `most` entries of a list, read page by page."""
        cursor, left = None, most
        while left > 0:
            page = self.call("GET", path, None, **query, limit=min(left, MOST_ENTRIES), cursor=cursor)
            yield from page[plural]
            left -= len(page[plural])
            cursor = page["nextCursor"]
            if cursor is None:
                return

    def project(self, named: str) -> JsonObject:
        """The project with this id, name or slug. Raises ApiError if there is none."""
        for project in self.every("/projects", "projects", most=100_000):
            if named in {project["id"], project["name"], project["slug"]}:
                return project
        raise ApiError(f"there is no project {named}; see: aiworker project list")


def api_of(terminal: Terminal) -> Api:
    """A client of the platform that the command's options name."""
    return Api(terminal.url, terminal.token)


def _fault(method: str, path: str, status: int, content: object) -> str:
    error: JsonObject = content if isinstance(content, dict) else {}
    faults = error.get("errors") or ([error["details"]] if "details" in error else [])
    why = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults) or error.get("error", "refused")
    remedies = {
        401: "check AIWORKER_TOKEN",
        403: "a higher role is needed",
        404: f"{path} does not exist, or you may not see it",
        503: "try again in a moment, or run: aiworker doctor",
    }
    if "requestId" in error:
        why += f" (request {error['requestId']})"
    return f"{method} {path}: {status} {why}" + (f"; {remedies[status]}" if status in remedies else "")


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after is not None and retry_after.isdigit() else LOST_SECONDS


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _require_data() -> None:
    """Raise Misconfigured unless this machine holds a platform's data. Call it before anything reads the settings."""
    found = look_around()
    if found.has_database and found.has_key:
        return
    missing = f"no secret key in {found.data_dir}" if found.has_database else f"no database at {found.database_path}"
    raise Misconfigured(
        f"no token was given, and there is no platform here: {missing}; set AIWORKER_URL and AIWORKER_TOKEN, or on the "
        f"platform's machine AIWORKER_DATA_DIR"
    )
