"""What the generated methods of the client stand on: requests, replies, errors, logins.

This file is in the client as it stands here, so it imports nothing of the platform.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Self
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import InvalidHeader
from urllib3.util.retry import Retry

Json = Any

DEFAULT_TIMEOUT_SECONDS = 60.0
_MOST_EVENTS = 500
"""The API's limit for one page of events."""
_PASSWORD = "/api/auth/password"  # noqa: S105 (a path)
_LONGEST_PAUSE_SECONDS = 60.0
"""Before a GET is sent again, whatever the answer asks for."""


class _Retries(Retry):
    def parse_retry_after(self, retry_after: str) -> float:
        """The seconds to wait; 0, so that those of the back-off are waited, where the header names none."""
        try:
            return min(super().parse_retry_after(retry_after), _LONGEST_PAUSE_SECONDS)
        except (InvalidHeader, ValueError, OverflowError):
            return 0.0


_RETRIES = _Retries(
    3, backoff_factor=0.5, status_forcelist=(429, 503), allowed_methods={"GET"}, raise_on_status=False,
    respect_retry_after_header=True,
)  # fmt: skip
_RETRIES_OF_HEALTH = _Retries(3, backoff_factor=0.5, allowed_methods={"GET"}, respect_retry_after_header=False)
"""Here, 503 is the answer."""


class Unset:
    """The type of UNSET."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()
"""Stands for an argument that is not sent. None is sent, as null."""


class AiWorkerError(Exception):
    """The platform refused a request, or answers from another address: redirects are not followed.

    status: of HTTP. field: what was wrong, such as `title`; None if the reply names none. faults: the message for each
    field. request_id: for the platform's operator, after a fault of its own; else None. reply: all that was answered,
    such as the `services` of a platform that is down; of an answer that is not the API's, an `error` alone.
    """

    def __init__(self, status: int, reply: Mapping[str, Json], retry_after_seconds: float | None = None) -> None:
        # Not every error is the API's: a proxy in between has its own.
        details, errors = reply.get("details"), reply.get("errors")
        details = details if isinstance(details, dict) else {}
        faults = errors if errors and isinstance(errors, list) else [details]
        self.status = status
        self.reply = reply
        # The health of a platform that is down is no error in the API's form: its `status` says what is wrong.
        self.error = str(reply.get("error", reply.get("status", "Unknown error")))
        self.field: str | None = details.get("field")
        self.message = str(details.get("message", self.error))
        self.faults: dict[str, str] = {
            fault["field"]: fault["message"]
            for fault in faults
            if isinstance(fault, dict) and {"field", "message"} <= fault.keys()
        }
        self.request_id: str | None = reply.get("requestId")
        self.retry_after_seconds = retry_after_seconds
        place = f"{self.field}: " if self.field else ""
        super().__init__(f"{status} {place}{self.message}")


class Invalid(AiWorkerError):
    """400: something in the request is wrong; `faults` says what."""


class Unauthenticated(AiWorkerError):
    """401: no valid token, or a wrong password."""


class Forbidden(AiWorkerError):
    """403: the caller's role does not allow it."""


class NotFound(AiWorkerError):
    """404: it does not exist, or not for this caller."""


class Conflict(AiWorkerError):
    """409: it is not possible in the present state."""


class TooManyRequests(AiWorkerError):
    """429: try again after `retry_after_seconds`."""


class Unavailable(AiWorkerError):
    """503: a part of the platform is away; try again after `retry_after_seconds`."""


_ERRORS: dict[int, type[AiWorkerError]] = {
    400: Invalid, 401: Unauthenticated, 403: Forbidden, 404: NotFound, 409: Conflict, 429: TooManyRequests,
    503: Unavailable,
}  # fmt: skip


class Bearer(AuthBase):
    """Sends the token, if there is one. Without an auth, requests would send a login of the user's ~/.netrc instead."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Transport:
    """One caller of one platform. Not to be shared by threads.

    token: an API token (`aiw_…`) or the access token of a login; None for what needs none.
    """

    def __init__(self, url: str, token: str | None = None, *, timeout: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        self.url = url.rstrip("/").removesuffix("/api")
        self.timeout = timeout
        self._token = token
        self._refresh_token: str | None = None
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=_RETRIES))
        self._session.mount(f"{self.url}/api/health", HTTPAdapter(max_retries=_RETRIES_OF_HEALTH))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    @classmethod
    def from_environment(cls) -> Self:
        """The client of AIWORKER_URL with the token AIWORKER_TOKEN. KeyError if one is not set."""
        return cls(os.environ["AIWORKER_URL"], os.environ["AIWORKER_TOKEN"])

    @classmethod
    def with_password(cls, url: str, username: str, password: str) -> Self:
        """A client that logs in, and renews its login when it expires. Raises Unauthenticated for a wrong password."""
        client = cls(url)
        client._keep(client._call("POST", "/api/auth/login", body={"username": username, "password": password}))
        return client

    def watch(self, project_id: str, *, after_seq: int = 0, every_seconds: float = 1.0) -> Iterator[dict[str, Json]]:
        """The project's events after after_seq, in order and each once, as they happen. It never ends by itself.

        every_seconds: the pause once there are no more events for now.
        """
        while True:
            query = {"projectId": project_id, "afterSeq": after_seq, "limit": _MOST_EVENTS}
            found = self._call("GET", "/api/events", query=query)["events"]
            for event in found:
                after_seq = event["seq"]
                yield event
            if len(found) < _MOST_EVENTS:
                time.sleep(every_seconds)

    def wait_for_task(self, task_id: str, *states: str, seconds: float = 3600) -> dict[str, Json]:
        """The task, once it is in one of the states. TimeoutError if it is not within that time."""
        return self._wait(f"/api/tasks/{quote(task_id, safe='')}", "task", "state", states, seconds)

    def wait_for_task_group(self, group_id: str, *statuses: str, seconds: float = 3600) -> dict[str, Json]:
        """The group, once it has one of the statuses. TimeoutError if it has not within that time."""
        return self._wait(f"/api/task-groups/{quote(group_id, safe='')}", "taskGroup", "status", statuses, seconds)

    def _wait(self, path: str, key: str, field: str, wanted: Iterable[str], seconds: float) -> dict[str, Json]:
        deadline = time.monotonic() + seconds
        while True:
            found: dict[str, Json] = self._call("GET", path)[key]
            if found[field] in wanted:
                return found
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} is {found[field]} after {seconds:g} s, not {' or '.join(wanted)}")
            time.sleep(0.5)

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | bytes | None = None,
        headers: Mapping[str, object] | None = None,
        is_again: bool = False,
    ) -> Json:
        """The reply: read from JSON, else its bytes; None without a body. Raises a kind of AiWorkerError."""
        options: dict[str, Json] = {"data": body} if isinstance(body, bytes) else {"json": _sent(body)}
        given = {name: str(value) for name, value in _sent(headers or {}).items()}
        if isinstance(body, bytes):
            given.setdefault("Content-Type", "application/octet-stream")
        params = {name: _text(value) for name, value in _sent(query or {}).items() if value is not None}
        # A followed redirect would send a POST again as a GET, without its body.
        reply = self._session.request(
            method,
            self.url + path,
            params=params,
            headers=given,
            auth=Bearer(self._token),
            timeout=self.timeout,
            allow_redirects=False,
            **options,
        )
        if reply.status_code == 401 and self._refresh_token is not None and not is_again:
            self._renew()
            return self._call(method, path, query=query, body=body, headers=headers, is_again=True)
        if 300 <= reply.status_code < 400:
            raise _redirect_of(reply)
        if not reply.ok:
            raise _error_of(reply)
        if reply.headers.get("Content-Type", "").partition(";")[0] == "application/json":
            content = reply.json()
            if path == _PASSWORD and self._refresh_token is not None:
                # A new password ends all logins, this one too; the reply is a new one.
                self._keep(content)
            return content
        return None if reply.status_code == 204 else reply.content

    def _renew(self) -> None:
        self._token = None
        body = {"refreshToken": self._refresh_token}
        try:
            login = self._call("POST", "/api/auth/refresh", body=body, is_again=True)
        except Unauthenticated:
            self._refresh_token = None
            raise
        # After any other error it may still be good: the next call tries again.
        self._keep(login)

    def _keep(self, login: Mapping[str, Json]) -> None:
        self._token, self._refresh_token = login["accessToken"], login["refreshToken"]


def _sent(values: Json) -> Json:
    """The values without those that are UNSET."""
    if isinstance(values, Mapping):
        return {name: value for name, value in values.items() if not isinstance(value, Unset)}
    return values


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _redirect_of(reply: requests.Response) -> AiWorkerError:
    place = reply.headers.get("Location", "another address that it does not name")
    return AiWorkerError(reply.status_code, {"error": f"The platform answers from {place}; use that address."})


def _error_of(reply: requests.Response) -> AiWorkerError:
    try:
        said = reply.json()
    except ValueError:
        said = {"error": reply.reason}
    after = reply.headers.get("Retry-After", "")
    kind = _ERRORS.get(reply.status_code, AiWorkerError)
    return kind(reply.status_code, said if isinstance(said, dict) else {}, float(after) if after.isdecimal() else None)
