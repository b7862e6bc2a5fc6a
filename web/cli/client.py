"""The command line's client of the API.

The token comes from --token, AIWORKER_TOKEN or `aiworker login`. On the machine that holds the data, a token is made
for the duration of the command and deleted after it. Errors are raised as ApiError with one line for the terminal.
"""

from __future__ import annotations

import ipaddress
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from importlib import import_module
from urllib.parse import urljoin, urlsplit

import requests

from common.errors import Misconfigured
from common.network.trust import describe_tls_failure, trusting_session
from common.settings.environment import Environment, web_address
from common.settings.platform_address import read_platform_address
from web.cli.api_error import ApiError, Unanswered
from web.cli.instances import read_saved_logins
from web.cli.links import read_link
from web.cli.tables import SHORTEST_ID_DIGITS
from web.cli.terminal import JsonObject, Terminal, cell
from web.client.transport import Bearer

ANSWER_SECONDS = 30.0
TRIES = 3
LOST_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10.0
OUTAGE_SECONDS = 60.0
"""How long a command that waits goes on without an answer: a platform that restarts is back by then."""
_AWAY = {502, 503, 504}
MOST_ENTRIES = 200
"""Entries of one page of a list, which is the API's limit."""

_KEYLESS = ("/auth/", "/tokens", "/users", "/agents/enrolment-tokens")
"""Routes that ignore an Idempotency-Key: their replies contain a secret."""


_TOKEN = re.compile("[!-~]+")
"""What a header can hold: printable ASCII without spaces."""


class _Fields(JsonObject):
    """An object of an answer. ApiError for a field that it lacks, as that of another program or version does."""

    def __missing__(self, name: str) -> object:
        raise ApiError(f"the answer has no field {name}; is a platform of this version there?")


class _Lost(Exception):
    """The answer was lost; the request may have been carried out. Its message becomes that of the ApiError."""


class Api:
    """A client of one platform for one user. Leaving its context closes the connection and deletes its own token."""

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        """url: an address, or the name of an instance that the user is logged in to."""
        env = Environment(os.environ)
        self._given_token = (token or "").strip() or env.text("AIWORKER_TOKEN")
        self.token_from = "--token" if token else "AIWORKER_TOKEN" if self._given_token else "a token for this command"
        self._is_typed = bool(url)
        self.url, self._is_named = self._find_url(url or env.text("AIWORKER_URL"))
        require_address(self.url, is_typed=self._is_typed)
        if self._given_token is None and (found := read_saved_logins().named(self.url)) is not None:
            self._given_token, self.token_from = found[1].token, f"the login {found[0]}"
        if self._given_token is not None and not _TOKEN.fullmatch(self._given_token):
            raise Misconfigured(f"{self.token_from} is no token: it has spaces or other characters than ASCII")
        self._own_token: Callable[[], str] | None = None
        self._at_end = ExitStack()
        self._session = trusting_session()
        # Requests to this machine must not go through a proxy.
        self._session.trust_env = not is_loopback(urlsplit(self.url).hostname or "")

    def _find_url(self, given: str | None) -> tuple[str, bool]:
        """The address, and whether the caller named it, by an option or the environment.

        Without a name it is that of the repository's link, else the current login's, else this machine's. A token that
        was given by itself is for this machine: it is never sent to where the caller did not say.
        """
        if given:
            found = None if "://" in given else read_saved_logins().named(given)
            return (found[1].url if found else given.rstrip("/").removesuffix("/api")), True
        own = read_platform_address().internal_url.rstrip("/")
        if self._given_token is not None:
            return own, True
        if (link := read_link()) is not None:
            return link.url, link.url == own
        kept = read_saved_logins()
        return (own, True) if kept.current is None else (kept.instances[kept.current].url, False)

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_error: object) -> None:
        self._session.close()
        self._own_token = None
        self._at_end.close()

    def token(self) -> str:
        """The API token, to be asked for anew for each request: a command's own is replaced before it expires.

        Raises Misconfigured if there is none and this machine holds no platform's data, or the address is another's,
        and requests.RequestException if a token is to be made and the platform does not answer.
        """
        if self._given_token is not None:
            return self._given_token
        if self._own_token is None:
            if self._is_named:
                _require_data()
            # A token of an administrator, which nobody else may see.
            if not self._is_named or not _is_own(self.url):
                raise Misconfigured(f"you are not logged in to {self.url}; run: aiworker login {self.url}")
            # A platform that is stopped is told before anything is written.
            self._session.get(f"{self.url}/api/health/live", timeout=ANSWER_SECONDS, allow_redirects=False)
            # With a token of the caller's, a command needs none of the database's libraries.
            own_token: Callable[[], AbstractContextManager[Callable[[], str]]]
            own_token = import_module("web.cli.operators").own_token
            self._own_token = self._at_end.enter_context(own_token())
        return self._own_token()

    def call(self, method: str, path: str, body: JsonObject | None = None, **query: str | int | None) -> JsonObject:
        """The reply's JSON; empty if it has no body. query: None values are left out.

        A GET is repeated if it is answered with 503: a forge that is slow to answer, say. A POST carries an
        Idempotency-Key and is repeated with the same key after a 503, and also if its answer is lost.
        """
        headers: dict[str, str] = {}
        is_keyed = method == "POST" and not path.startswith(_KEYLESS)
        if is_keyed:
            headers["Idempotency-Key"] = uuid.uuid4().hex
        asked = {name: value for name, value in query.items() if value is not None}
        for tries_left in reversed(range(TRIES if is_keyed or method == "GET" else 1)):
            try:
                reply = self._send(method, path, body, asked, headers)
            except _Lost as lost:
                if not tries_left or not is_keyed:
                    raise Unanswered(str(lost)) from lost
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
                auth=Bearer(self.token()),
                timeout=ANSWER_SECONDS,
                allow_redirects=False,
            )
        except UnicodeEncodeError as error:
            raise ApiError("a part of what was given is not UTF-8") from error
        except requests.Timeout as error:
            raise Unanswered(f"{self.url} did not answer within {ANSWER_SECONDS:g} s; look at its log") from error
        except requests.exceptions.SSLError as error:
            raise Unanswered(f"{self.url} can't be reached: {describe_tls_failure(error, self.url)}") from error
        except requests.RequestException as error:
            if self._is_typed:
                says = f"{self.url} can't be reached; start it with `aiworker up`, or give another address"
            else:
                says = f"{self.url} can't be reached; start it with `aiworker up`, or set AIWORKER_URL"
            raise _Lost(says) from error

    def get_or_nothing(self, path: str, seconds: float, **query: str | int | None) -> JsonObject:
        """What a GET answers; empty if that takes longer or fails, or if no token was given and nobody is logged in."""
        if self._given_token is None:
            return {}
        asked = {name: value for name, value in query.items() if value is not None}
        auth = Bearer(self._given_token)
        try:
            reply = self._session.get(
                f"{self.url}/api{path}", params=asked, auth=auth, timeout=seconds, allow_redirects=False
            )
            content: object = reply.json() if reply.ok else {}
        except requests.RequestException:
            return {}
        return content if isinstance(content, dict) else {}

    def get_patiently(self, path: str, **query: str | int | None) -> JsonObject:
        """What a GET answers. While the platform does not answer, it is asked again for AWAY_SECONDS.

        For a command that waits for work which goes on without it.
        """
        until = time.monotonic() + OUTAGE_SECONDS
        while True:
            try:
                return self.call("GET", path, None, **query)
            except Unanswered:
                if time.monotonic() >= until:
                    raise
                time.sleep(LOST_SECONDS)

    def _content(self, method: str, path: str, reply: requests.Response) -> JsonObject:
        failure = Unanswered if reply.status_code in _AWAY else ApiError
        is_redirect = 300 <= reply.status_code < 400
        if is_redirect and "Location" in reply.headers:
            place = cell(urljoin(reply.url, reply.headers["Location"])).removesuffix(f"/api{path}")
            raise ApiError(f"{self.url} answers from {place}; use that address")
        try:
            content: object = reply.json(object_hook=_Fields) if reply.content or is_redirect else _Fields()
        except requests.JSONDecodeError as error:
            raise failure(f"{self.url} answered {reply.status_code} without JSON; is a platform there?") from error
        if not reply.ok:
            raise failure(_fault(method, path, reply.status_code, content, self.remedy_of_401()))
        if not isinstance(content, dict):
            raise ApiError(f"{self.url} answered with JSON that is not the API's; is a platform there?")
        return content

    def remedy_of_401(self) -> str:
        """What to do when the platform refuses the token."""
        if self._own_token is not None:
            folder = read_platform_address().data_dir
            return f"it is not the platform of {folder}: set AIWORKER_DATA_DIR to its data directory, or log in to it"
        return f"log in again: aiworker login {self.url}" if "login" in self.token_from else f"check {self.token_from}"

    def list_all(self, path: str, plural: str, *, most: int, **query: str | None) -> Iterator[JsonObject]:
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
        """The project with this id, short id, name or slug. Raises ApiError if there is none, or several."""
        projects = list(self.list_all("/projects", "projects", most=100_000))
        # A project that was renamed keeps its slug, which may be the name of another one.
        found = [one for one in projects if named == one["id"]]
        found = found or [one for one in projects if named in {one["name"], one["slug"]}]
        if not found and len(named) >= SHORTEST_ID_DIGITS:
            found = [one for one in projects if one["id"].endswith(named.lower())]
        if len(found) > 1:
            them = "; ".join(f"{one['id']} {cell(one['name'])}" for one in found)
            raise ApiError(f"{cell(named)} is ambiguous, give an id: {them}")
        if not found:
            raise ApiError(f"there is no project {named}; see: aiworker project list")
        return found[0]

    def chosen_project(self, named: str | None) -> JsonObject | None:
        """The named project, else that of the repository's link; None without either."""
        if named is not None:
            return self.project(named)
        link = read_link()
        if link is None or link.url != self.url:
            return None
        project: JsonObject = self.call("GET", f"/projects/{link.project_id}")["project"]
        return project

    def chosen_project_id(self, named: str | None) -> str | None:
        """The id of the chosen project."""
        chosen = self.chosen_project(named)
        return None if chosen is None else str(chosen["id"])

    def required_project(self, named: str | None) -> JsonObject:
        """The chosen project, else the only one there is. Raises ApiError if it is not clear which."""
        chosen = self.chosen_project(named)
        if chosen is not None:
            return chosen
        projects = list(self.list_all("/projects", "projects", most=2))
        if len(projects) != 1:
            raise ApiError("say which project with --project NAME, or link this repository to one: aiworker init")
        return projects[0]


def api_of(terminal: Terminal) -> Api:
    """A client of the platform that the command's options name."""
    return Api(terminal.url, terminal.token)


def _fault(method: str, path: str, status: int, content: object, remedy_of_401: str) -> str:
    error: JsonObject = content if isinstance(content, dict) else {}
    errors = error.get("errors")
    faults = errors if errors and isinstance(errors, list) else [error.get("details")]
    # Not every error is the API's: a proxy in between has its own.
    read = [one for one in faults if isinstance(one, dict) and {"field", "message"} <= one.keys()]
    why = "; ".join(f"{fault['field']}: {fault['message']}" for fault in read) or str(error.get("error", "refused"))
    remedies = {
        401: "is the password right?" if path == "/auth/login" else remedy_of_401,
        403: "a higher role is needed",
        404: f"{path} does not exist, or you may not see it",
        503: "try again in a moment, or run: aiworker doctor",
    }
    if "requestId" in error:
        why += f" (request {error['requestId']})"
    return f"{method} {path}: {status} {why}" + (f"; {remedies[status]}" if status in remedies else "")


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else LOST_SECONDS


def require_address(url: str, *, is_typed: bool) -> None:
    """Raise Misconfigured unless this is an http or https address whose host can be looked up.

    is_typed: it was given with the command, not by the environment.
    """
    parts = web_address(url)
    try:
        host = "" if parts is None else (parts.hostname or "")
        is_host = host != "" and not any(sign.isspace() for sign in host) and host.encode("idna") != b""
    except UnicodeError:  # an empty label, or one of more than 63 characters
        is_host = False
    if not is_host:
        remedy = "give one such as https://aiworker.example.org" if is_typed else "check AIWORKER_URL"
        raise Misconfigured(f"{url} is not an http or https address; {remedy}")


def is_loopback(host: str) -> bool:
    """Whether the name or address of a host is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_own(url: str) -> bool:
    """Whether the address leads to this machine, or has a host that the settings name as the platform's."""
    host = urlsplit(url).hostname or ""
    names = (one for one in read_platform_address().hosts if one)
    return is_loopback(host) or any(host.endswith(name) if name.startswith(".") else host == name for name in names)


def _require_data() -> None:
    """Raise Misconfigured unless this machine holds a platform's data. Call it before anything reads the settings."""
    found = read_platform_address()
    if found.has_database and found.has_key:
        return
    found.require_open("log in: aiworker login URL")
    missing = f"no secret key in {found.data_dir}" if found.has_database else f"no database at {found.database_path}"
    raise Misconfigured(
        f"no token was given, and there is no platform here: {missing}; run: aiworker login URL, or set AIWORKER_URL "
        f"and AIWORKER_TOKEN, or on the platform's machine AIWORKER_DATA_DIR"
    )
