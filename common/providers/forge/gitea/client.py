"""One Gitea server over HTTP: bounded in time and size, without redirects, and every answer put into our errors.

It knows nothing of what the calls are for, and tries none again but where the answer is doubtful (see looking.py):
whoever asked does. A message names the method and the path, and never holds the token.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import requests

from common.errors import ProviderRefused, ProviderUnavailable
from common.machine.waiting import Deadline
from common.providers.forge.gitea.looking import Interrupted, ask_again, doubts

TIMEOUT = (3.0, 10.0)
"""Seconds to connect, and between two parts of an answer."""
WHOLE_SECONDS = 30.0
MAX_BODY_BYTES = 5_000_000
PAGE = 50
_MOST_PAGES = 200
_LONGEST_WAIT = 3600.0

Json = Any
"""What a server answered: to be read with suspicion, at the place that knows what it should be."""


class Query(Protocol):
    """What may be written into a query string."""

    def __str__(self) -> str: ...


@dataclass(frozen=True)
class Answer:
    """status: one of those that were accepted. body: None where there was none, or nothing that is JSON.

    date: the server's clock, as it writes it (RFC 9110); None where it does not. retry_after: seconds after which it
    wants to be asked again, at most an hour; None where it does not say.
    """

    status: int
    body: Json
    date: str | None = None
    retry_after: float | None = None

    @property
    def is_there(self) -> bool:
        return self.status < 300


class Client:
    """Calls to one server with one token. Threads may share it. `close` ends its connections."""

    def __init__(self, url: str, token: str, *, timeout: tuple[float, float] = TIMEOUT) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self._timeout = timeout
        self._session = requests.Session()
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
    ) -> Answer:
        return self.call("GET", path, query=query, accept=accept, login=login)

    def pages(self, path: str, query: Mapping[str, Query] | None = None) -> Iterator[Json]:
        """Every entry of a list. ProviderRefused (`too_large`) where it does not end."""
        for page in range(1, _MOST_PAGES):
            found = self.get(path, query={**(query or {}), "page": page, "limit": PAGE}).body or []
            yield from found
            # The server may give fewer than were asked for, if it was told so: only an empty page is the last.
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
    ) -> Answer:
        """The answer, if its status is a success or in `accept`; otherwise ProviderUnavailable or ProviderRefused.

        path begins after `/api/v1`, unless it is the address of the API's own description. login: who asks, by a name
        and a password or token (Basic); None: whom the client's token belongs to.
        """
        what = f"Gitea's {method} {path}"

        def ask() -> Answer:
            return self._ask(what, method, path, body, query, login)

        def is_doubtful(answer: Answer, before: int) -> bool:
            # Where it says when it can again, it is not asked before.
            return answer.retry_after is None and before < doubts(method, answer.status)

        found = ask_again(ask, is_doubtful)
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
    ) -> Answer:
        """One call, whatever its answer. ProviderUnavailable where there is none (Interrupted, if it was a read)."""
        address = self.url + (path if path.endswith(".json") else f"/api/v1{path}")
        try:
            answer = self._session.request(
                method,
                address,
                json=body,
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
        except requests.RequestException as error:
            kind = Interrupted if method == "GET" else ProviderUnavailable
            raise kind(f"{what} failed: the connection was refused or cut") from error
        # A server remembers by cookie; we say who we are each time.
        self._session.cookies.clear()
        asked = answer.headers.get("Retry-After", "")
        wait = min(float(asked), _LONGEST_WAIT) if asked.isdigit() else None
        return Answer(answer.status_code, _json(content), answer.headers.get("Date"), wait)


def at(*parts: str | int) -> str:
    """A path from its parts, each of which may hold anything; slashes within one stay (branches have them)."""
    return "".join("/" + quote(str(part), safe="/") for part in parts)


def _read(answer: requests.Response, what: str) -> bytes:
    deadline = Deadline(WHOLE_SECONDS)
    content = bytearray()
    for part in answer.iter_content(65536):
        content += part
        if len(content) > MAX_BODY_BYTES:
            raise ProviderRefused(f"{what} was answered with more than {MAX_BODY_BYTES} bytes", code="too_large")
        if deadline.is_over:
            raise ProviderUnavailable(f"{what} was answered too slowly")
    return bytes(content)


def _json(content: bytes) -> Json:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _error(answer: Answer, what: str) -> Exception:
    said = answer.body.get("message") if isinstance(answer.body, dict) else None
    reason = f"{answer.status} {str(said or '')[:300]}".strip()
    if answer.status == 429 or answer.status >= 500:
        return ProviderUnavailable(f"{what} was answered with {reason}", retry_after_seconds=answer.retry_after)
    if answer.status == 401:
        return ProviderRefused(f"{what}: the server does not know the token; set GITEA_TOKEN anew", code="unauthorized")
    if answer.status == 403:
        return ProviderRefused(
            f"{what} is not allowed ({reason}); give GITEA_TOKEN of a site administrator all its scopes",
            code="forbidden",
        )
    if 300 <= answer.status < 400:
        return ProviderRefused(f"{what} leads elsewhere; set GITEA_URL to the server's own address", code="redirected")
    codes = {404: "not_found", 409: "conflict", 405: "not_allowed"}
    return ProviderRefused(f"{what} was refused: {reason}", code=codes.get(answer.status, "refused"))
