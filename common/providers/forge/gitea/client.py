"""HTTP client of one Gitea server: bounded in time and size, follows no redirects, translates failures to our errors.

It does not know what the calls are for. It repeats a call only if the answer is unreliable (doubted_answers.py); any
other retry is the caller's. Error messages contain the method and the path, never the token.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

import requests

from common.errors import AccessDenied, ProviderRefused, ProviderUnavailable
from common.machine.waiting import Deadline
from common.network.trust import describe_tls_failure, trusting_session
from common.providers.forge.gitea.retried_errors import Interrupted, ask_with_retries, retries_for

TIMEOUT = (3.0, 10.0)
"""Seconds to connect, and between two chunks of a response."""
WHOLE_SECONDS = 30.0
"""Limit for reading a whole response body."""
MAX_BODY_BYTES = 5_000_000
PAGE = 50
_MOST_PAGES = 200
_LONGEST_WAIT = 3600.0

Json = Any
"""A JSON value from the server. Not validated here; the caller knows the expected shape."""


class Query(Protocol):
    """A value of a query string: converted with str()."""

    def __str__(self) -> str: ...


@dataclass(frozen=True)
class ServerAnswer:
    """A response. body: the parsed JSON; None if there is no body or it is not JSON.

    is_json: whether the body is JSON: `null` is. has_body: whether there is one. date: the Date header (RFC 9110); None
    if absent. retry_after: seconds from the Retry-After header, at most an hour; None if absent.
    """

    status: int
    body: Json
    date: str | None = None
    retry_after: float | None = None
    is_json: bool = True
    has_body: bool = True

    @property
    def is_there(self) -> bool:
        return self.status < 300


@dataclass(frozen=True)
class Upload:
    """A picture (PNG) that is sent as a form's file `attachment`."""

    name: str
    content: bytes = field(repr=False)


class Client:
    """Calls to one server with one token. Threads may share it. `close` ends its connections."""

    def __init__(self, url: str, token: str, *, timeout: tuple[float, float] = TIMEOUT) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self._timeout = timeout
        self._session = trusting_session()
        self._session.trust_env = False
        self._session.headers.update(
            {"Authorization": f"token {token}", "Accept": "application/json", "User-Agent": "AiWorker"}
        )

    def close(self) -> None:
        self._session.close()

    def get(
        self,
        path: str,
        *,
        query: Mapping[str, Query] | None = None,
        accept: tuple[int, ...] = (),
        login: tuple[str, str] | None = None,
    ) -> ServerAnswer:
        return self.call("GET", path, query=query, accept=accept, login=login)

    def pages(self, path: str, query: Mapping[str, Query] | None = None) -> Iterator[Json]:
        """Yield every entry of a paged list. Raises ProviderRefused (`too_large`) after 199 pages."""
        for page in range(1, _MOST_PAGES):
            found = self.get(path, query={**(query or {}), "page": page, "limit": PAGE}).body or []
            yield from found
            # The server's configuration may limit the page size: only an empty page is surely the last.
            if not found:
                return
        raise ProviderRefused(f"the list {path} is too long", code="too_large")

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        query: Mapping[str, Query] | None = None,
        accept: tuple[int, ...] = (),
        login: tuple[str, str] | None = None,
        upload: Upload | None = None,
    ) -> ServerAnswer:
        """Return the response if its status is 2xx or in `accept`; else raise ProviderUnavailable or ProviderRefused.
        401 is AccessDenied. A 200 with what is no JSON, for a GET also with nothing, is ProviderUnavailable, too.

        path is relative to `/api/v1`, except for the API's description (`*.json`). login: user name and password or
        token for Basic authentication; None: use the client's token. upload: sent in place of a body.
        """
        what = f"Gitea's {method} {path}"

        def ask() -> ServerAnswer:
            return self._ask(what, method, path, body, query, login, upload)

        def is_doubtful(answer: ServerAnswer, before: int) -> bool:
            # With Retry-After, the server must not be asked earlier: the caller gets the answer as it is.
            return answer.retry_after is None and before < retries_for(method, answer.status)

        found = ask_with_retries(ask, is_doubtful)
        is_foreign = not found.is_json and (method == "GET" or found.has_body)
        if is_foreign and found.status == 200 and not path.endswith(".json"):
            # Such as a proxy's page that says what a 503 would.
            raise ProviderUnavailable(
                f"{what} was answered without JSON: it is being maintained, or the server at GITEA_URL is not Gitea"
            )
        if found.status in accept or 200 <= found.status < 300:
            return found
        raise _error(found, what)

    def _ask(
        self,
        what: str,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        query: Mapping[str, Query] | None,
        login: tuple[str, str] | None,
        upload: Upload | None,
    ) -> ServerAnswer:
        """Make one request and return the response, whatever its status.

        Raises ProviderUnavailable if there is no response; for a GET whose connection failed, Interrupted.
        """
        address = self.url + (path if path.endswith(".json") else f"/api/v1{path}")
        try:
            answer = self._session.request(
                method,
                address,
                json=body,
                files={"attachment": (upload.name, upload.content, "image/png")} if upload else None,
                params={key: str(value) for key, value in (query or {}).items()},
                auth=login,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            )
            with contextlib.closing(answer):
                content = _read(answer, what)
        except requests.Timeout as error:
            raise ProviderUnavailable(f"{what} was not answered in time") from error
        except requests.exceptions.SSLError as error:
            raise ProviderUnavailable(f"{what} failed: {describe_tls_failure(error, self.url)}") from error
        except requests.RequestException as error:
            kind = Interrupted if method == "GET" else ProviderUnavailable
            raise kind(f"{what} failed: the connection was refused or closed") from error
        # Every request authenticates itself, so a session cookie of the server must not be sent.
        self._session.cookies.clear()
        asked = answer.headers.get("Retry-After", "")
        wait = min(float(asked), _LONGEST_WAIT) if asked.isdecimal() else None
        body, is_json = _json(content)
        return ServerAnswer(answer.status_code, body, answer.headers.get("Date"), wait, is_json, bool(content))


def at(*parts: str | int) -> str:
    """Build a path from parts, each percent-encoded except for slashes (branch names contain them)."""
    return "".join("/" + quote(str(part), safe="/") for part in parts)


def _read(answer: requests.Response, what: str) -> bytes:
    deadline = Deadline(WHOLE_SECONDS)
    content = bytearray()
    for part in answer.iter_content(65536):
        content += part
        if len(content) > MAX_BODY_BYTES:
            raise ProviderRefused(f"{what} returned more than {MAX_BODY_BYTES} bytes", code="too_large")
        if deadline.is_over:
            raise ProviderUnavailable(f"{what} took longer than {WHOLE_SECONDS:g} s")
    return bytes(content)


def _json(content: bytes) -> tuple[Json, bool]:
    """The JSON value, and whether there is one."""
    try:
        return json.loads(content), True
    except ValueError:
        return None, False


def _error(answer: ServerAnswer, what: str) -> Exception:
    message = answer.body.get("message") if isinstance(answer.body, dict) else None
    reason = f"{answer.status} {str(message or '')[:300]}".strip()
    if answer.status == 429 or answer.status >= 500:
        return ProviderUnavailable(f"{what} was answered with {reason}", retry_after_seconds=answer.retry_after)
    if answer.status == 401:
        # Says nothing about the call: it may be made again once the token is renewed.
        return AccessDenied(f"{what}: the server does not accept the token; set GITEA_TOKEN to a valid one")
    if answer.status == 403:
        return ProviderRefused(
            f"{what} is not allowed ({reason}); set GITEA_TOKEN to a site administrator's token with all scopes",
            code="forbidden",
        )
    if 300 <= answer.status < 400:
        return ProviderRefused(f"{what} was redirected; set GITEA_URL to the server's own address", code="redirected")
    codes = {404: "not_found", 409: "conflict", 405: "not_allowed"}
    return ProviderRefused(f"{what} was refused: {reason}", code=codes.get(answer.status, "refused"))
