"""The API as the command line calls it, and the local operator's right to.

A token comes from --token or AIWORKER_TOKEN; on the machine that holds the data, one is made for the length of the
command and deleted after it. Errors are ApiError, with one line for the terminal.
"""

from __future__ import annotations

import ipaddress
import os
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from common.errors import Misconfigured
from common.services.access import Caller
from common.services.health.schema import require_current
from common.services.paging import MOST, PageQuery
from common.services.people import accounts, tokens
from common.settings import settings
from common.states import Role

ANSWER_SECONDS = 30.0
LOCAL_TOKEN_SECONDS = 3600
TRIES = 3
LOST_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10.0

_KEYLESS = ("/auth/", "/tokens", "/users", "/agents/enrolment-tokens")
"""Routes that take no Idempotency-Key: their replies hold a secret."""


class ApiError(Exception):
    """The platform refused, or did not answer. The message is for a person."""


class _Lost(Exception):
    """No answer came: the request may have been done. The message is ApiError's."""


def operator() -> Caller:
    """Whoever may read and write the database may do all: an administrator who is no user.

    Misconfigured where there is no database with this version's schema.
    """
    require_current()
    return Caller("", "operator", Role.ADMIN)


def first_administrator() -> Caller:
    """In whose name tokens are made for the operator. Misconfigured, as by `operator`, or where there is none."""
    root = operator()
    page = PageQuery(MOST)
    while True:
        found = accounts.list_users(root, page)
        for user in found.items:
            if user.is_active and user.role >= Role.ADMIN:
                return Caller(user.id, user.username, Role.ADMIN)
        if found.next_cursor is None:
            raise Misconfigured("there is no active administrator; make one: aiworker user add NAME --role admin")
        page = PageQuery(MOST, cursor=found.next_cursor)


class Api:
    """One platform, called in one person's name. Use it as a context: it closes its connection and its own token."""

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self._given_token = token or os.environ.get("AIWORKER_TOKEN") or None
        self.url = (url or os.environ.get("AIWORKER_URL") or settings().web.internal_url).rstrip("/")
        if urlsplit(self.url).scheme not in {"http", "https"}:
            raise Misconfigured(f"{self.url} is not an http or https address; check AIWORKER_URL")
        self._made: tokens.NewApiToken | None = None
        self._operator: Caller | None = None
        self._session = requests.Session()
        # A proxy for the outside must not be asked for this machine.
        self._session.trust_env = not _is_loopback(urlsplit(self.url).hostname or "")

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_error: object) -> None:
        self._session.close()
        if self._made is not None and self._operator is not None:
            tokens.delete_api_token(self._made.row.id, by=self._operator)
            self._made = None

    def token(self) -> str:
        """What to authenticate with. Misconfigured where none was given and there is no data of ours."""
        if self._given_token is not None:
            return self._given_token
        if self._made is None:
            if not _has_data():
                raise Misconfigured(
                    "no token was given; set AIWORKER_TOKEN, or AIWORKER_DATA_DIR on the platform's machine"
                )
            self._operator = first_administrator()
            expires_at = datetime.now(UTC) + timedelta(seconds=LOCAL_TOKEN_SECONDS)
            self._made = tokens.create_api_token(by=self._operator, name="command line", expires_at=expires_at)
        return self._made.token

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The reply's JSON, None where it has no body. query: None values are left out.

        A POST carries an Idempotency-Key and, where its answer is lost or a 503, is repeated with the same one.
        """
        headers = {"Authorization": f"Bearer {self.token()}"}
        is_keyed = method == "POST" and not path.startswith(_KEYLESS)
        if is_keyed:
            headers["Idempotency-Key"] = uuid.uuid4().hex
        asked = {name: value for name, value in query.items() if value is not None}
        for tries_left in reversed(range(TRIES if is_keyed else 1)):
            try:
                reply = self._send(method, path, json=body, params=asked, headers=headers)
            except _Lost as lost:
                if not tries_left:
                    raise ApiError(str(lost)) from lost
                time.sleep(LOST_SECONDS)
                continue
            if reply.status_code != 503 or not tries_left:
                break
            time.sleep(min(_seconds(reply.headers.get("Retry-After")), LONGEST_WAIT_SECONDS))
        return self._content(method, path, reply)

    def _send(self, method: str, path: str, **what: Any) -> requests.Response:
        try:
            return self._session.request(
                method, f"{self.url}/api{path}", timeout=ANSWER_SECONDS, allow_redirects=False, **what
            )
        except requests.Timeout as error:
            raise ApiError(f"{self.url} did not answer within {ANSWER_SECONDS:g} s; look at its log") from error
        except requests.RequestException as error:
            raise _Lost(f"{self.url} can't be reached; start it with `aiworker up`, or set AIWORKER_URL") from error

    def _content(self, method: str, path: str, reply: requests.Response) -> Any:
        try:
            content = reply.json() if reply.content else None
        except requests.JSONDecodeError as error:
            raise ApiError(f"{self.url} answered {reply.status_code} without JSON; is AIWORKER_URL right?") from error
        if not reply.ok:
            raise ApiError(_fault(method, path, reply.status_code, content))
        return content

    def every(self, path: str, plural: str, *, most: int, **query: Any) -> Iterator[dict[str, Any]]:
        """The entries of a list, page by page, at most so many."""
        cursor, left = None, most
        while left > 0:
            page = self.call("GET", path, limit=min(left, MOST), cursor=cursor, **query)
            yield from page[plural]
            left -= len(page[plural])
            cursor = page["nextCursor"]
            if cursor is None:
                return

    def project(self, named: str) -> dict[str, Any]:
        """The project of this id, name or slug. ApiError where there is none."""
        for project in self.every("/projects", "projects", most=100_000):
            if named in {project["id"], project["name"], project["slug"]}:
                return project
        raise ApiError(f"there is no project {named}; see: aiworker project list")


def _fault(method: str, path: str, status: int, content: Any) -> str:
    told = content if isinstance(content, dict) else {}
    faults = told.get("errors") or ([told["details"]] if "details" in told else [])
    why = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults) or told.get("error", "refused")
    remedies = {
        401: "check AIWORKER_TOKEN",
        403: "a higher role is needed",
        404: f"{path} does not exist, or not for you",
        503: "try again in a moment, or run: aiworker doctor",
    }
    if "requestId" in told:
        why += f" (request {told['requestId']})"
    return f"{method} {path}: {status} {why}" + (f"; {remedies[status]}" if status in remedies else "")


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after is not None and retry_after.isdigit() else LOST_SECONDS


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _has_data() -> bool:
    """Whether this machine holds a platform: asked before the settings make a data directory."""
    named = os.environ.get("AIWORKER_DATA_DIR") or ".aiworker"
    return Path(named).expanduser().is_dir() or bool(os.environ.get("AIWORKER_DATABASE_URL"))
