"""Error replies, in the one form that the API's contract defines.

Owns the map from exceptions to replies. A reply names what was wrong with the request; after a fault of the platform it
contains the request's id only.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Callable, Mapping

import structlog
from flask import Flask, Response, g
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException

from common.errors import (
    AnotherKey,
    Busy,
    CallerError,
    Conflict,
    DiskFull,
    Forbidden,
    Invalid,
    KeyReused,
    NotFound,
    ProviderRefused,
    ProviderUnavailable,
    Unauthenticated,
)
from common.services.requests.access import acting
from web.http.replies import json_response
from web.http.server.request_id import request_id

log = structlog.get_logger()

Fault = tuple[str, str]
"""The field's name as in the request, dotted for a nested one, and what is wrong with it."""

RETRY_AFTER_SECONDS = 2
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

_TITLES = {
    400: "Validation error",
    401: "Invalid or expired token",
    403: "Forbidden",
    404: "Resource not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Request body too large",
    415: "Unsupported media type",
    421: "Misdirected request",
    422: "Idempotency-Key was used with another request",
    429: "Too many requests",
    500: "Internal server error",
    503: "Service unavailable",
}


class Faults(CallerError):
    """One or more faults of a request (400)."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{field}: {message}" for field, message in faults))
        self.faults = faults


class TooManyRequests(CallerError):
    """The caller exceeded a rate limit (429)."""

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__("too many requests")
        self.retry_after_seconds = retry_after_seconds


class Misdirected(CallerError):
    """The request names a host that is not this instance's (421)."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host[:255]} is not a host of this instance; if it is, name it in AIWORKER_ALLOWED_HOSTS")


class UnsupportedMedia(CallerError):
    """The body is not of a kind that this route takes (415)."""


def faults_of(messages: object, prefix: str = "") -> list[Fault]:
    """marshmallow's nested messages as a flat list, in the order of the fields."""
    if isinstance(messages, Mapping):
        faults: list[Fault] = []
        for key, below in messages.items():
            name = prefix if key == "_schema" else f"{prefix}.{key}" if prefix else str(key)
            faults += faults_of(below, name)
        return faults
    if isinstance(messages, list):
        return [fault for message in messages for fault in faults_of(message, prefix)]
    return [(prefix or "body", str(messages))]


def register_error_handlers(app: Flask) -> None:
    app.register_error_handler(CallerError, _caller_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(ParseException, _unreadable)
    app.register_error_handler(Busy, _busy)
    app.register_error_handler(AnotherKey, _another_key)
    app.register_error_handler(ProviderUnavailable, _provider_unavailable)
    app.register_error_handler(ProviderRefused, _provider_refused)
    app.register_error_handler(OSError, _os_error)
    app.register_error_handler(Exception, _bug)


def error(
    status: int, title: str | None = None, *, headers: Mapping[str, str] | None = None, **more: object
) -> Response:
    """An error reply; with a status of 500 or above it contains the request's id."""
    payload = {"error": title or _TITLES.get(status, "Request refused"), **more}
    if status >= 500:
        payload["requestId"] = request_id()
    reply = json_response(payload, status)
    reply.headers.update(headers or {})
    return reply


def _validation_error(faults: list[Fault]) -> Response:
    listed = [{"field": field, "message": message} for field, message in faults]
    if len(listed) == 1:
        return error(400, details=listed[0])
    return error(400, details=listed[0], errors=listed)


def _caller_error(raised: CallerError) -> Response:
    match raised:
        case Faults():
            return _validation_error(raised.faults)
        case Invalid():
            return _validation_error([(raised.field, raised.message)])
        case Unauthenticated():
            return error(401, raised.message, headers={"WWW-Authenticate": "Bearer"})
        case Forbidden():
            return error(403)
        case NotFound():
            return error(404)
        case Conflict():
            if raised.follow_up is not None:
                _follow_up(raised.follow_up)
            return error(409, details={"field": raised.field, "message": raised.message})
        case Misdirected():
            return error(421, details={"field": "Host", "message": str(raised)})
        case UnsupportedMedia():
            return error(415)
        case KeyReused():
            return error(422)
        case TooManyRequests():
            return error(429, headers=_retry_after(raised.retry_after_seconds))
        case _:
            return _bug(raised)


def _follow_up(act: Callable[[], object]) -> None:
    """Do what the conflict calls for, now that the request's transaction was rolled back."""
    try:
        with acting(g.principal.name, request_id()):
            act()
    except (CallerError, Busy) as error:
        # The reply stays the 409: the same request tries this again.
        log.warning("the follow-up of a conflict failed", request_id=request_id(), reason=str(error))


def _http_error(raised: HTTPException) -> Response:
    """Errors that Flask and werkzeug raise: unknown paths and methods, bodies that are too large."""
    status = raised.code or 500
    if status == 400:
        return _unreadable(raised)
    kept = {name: value for name, value in raised.get_headers() if name in {"Allow", "Retry-After"}}
    return error(status, headers=kept)


def _unreadable(_raised: Exception) -> Response:
    """Also of a body in chunks that the server can't take apart: it says so to who reads it."""
    return _validation_error([("body", "The request could not be read")])


def _busy(raised: Busy) -> Response:
    log.warning("the database is busy or away", request_id=request_id(), reason=str(raised))
    headers = _retry_after(RETRY_AFTER_SECONDS)
    if raised.field is None:
        return error(503, headers=headers)
    return error(503, headers=headers, details={"field": raised.field, "message": str(raised)})


def _another_key(raised: AnotherKey) -> Response:
    log.warning("a stored secret can't be opened", request_id=request_id(), reason=str(raised))
    details = {"field": raised.field, "message": str(raised)}
    return error(503, headers=_retry_after(RETRY_AFTER_SECONDS), details=details)


def _provider_unavailable(raised: ProviderUnavailable) -> Response:
    log.warning("a provider is unavailable", request_id=request_id(), reason=str(raised))
    return error(503, headers=_retry_after(raised.retry_after_seconds or RETRY_AFTER_SECONDS))


def _provider_refused(raised: ProviderRefused) -> Response:
    return error(409, details={"field": raised.code, "message": raised.message})


def _os_error(raised: OSError) -> Response:
    """A full disk is answered with 503; every other OSError is a bug."""
    return _busy(DiskFull()) if raised.errno in _NO_ROOM else _bug(raised)


def _bug(raised: Exception) -> Response:
    log.error("the request failed", request_id=request_id(), exc_info=raised)
    return error(500)


def _retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds)))}
