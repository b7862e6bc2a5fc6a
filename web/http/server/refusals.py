"""What is answered to requests that gunicorn can't read or serve: no view sees them.

The statuses are gunicorn's; the form is that of every error. Each has an id, by which it stands in the log.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

import structlog
from gunicorn.http.errors import (
    ConfigurationProblem,
    ExpectationFailed,
    ForbiddenProxyRequest,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)

from common.values.names import new_request_id

log = structlog.get_logger()

# The first that fits counts. A bad header of a reply is the application's fault.
_STATUSES = (
    ((ConfigurationProblem, InvalidResponseHeader, InvalidResponseHeaderName), 500),
    ((ForbiddenProxyRequest,), 403),
    ((LimitRequestLine,), 414),
    ((ExpectationFailed,), 417),
    ((LimitRequestHeaders,), 431),
    ((UnsupportedTransferCoding,), 501),
    ((ParseException,), 400),
)
_LONGEST_REASON = 300
_JSON = {"Content-Type": "application/json"}
_FORGET_COOKIES = {"Content-Type": "text/plain", "Clear-Site-Data": '"cookies"'}
_HEAD_TOO_LARGE = (
    b"The browser sent more than this server reads, most likely cookies of another port. Load the page again.\n"
)


def refusal(raised: BaseException, client: object) -> bytes:
    """The whole reply to a request at which gunicorn raised this. client: its address, for the log.

    A head that is too large has the browser drop this host's cookies. Every port of a host may set cookies for it, so a
    preview could have set more than this server reads, and keep people from the page until they delete them by hand.
    AiWorker needs none.
    """
    request_id = new_request_id()
    status = next((status for kinds, status in _STATUSES if isinstance(raised, kinds)), 500)
    if status == 500:
        log.error("the request failed", request_id=request_id, exc_info=raised)
        return _reply(status, {"error": "Internal server error", "requestId": request_id}, request_id)
    # Without the exception's words: what was sent may hold a token.
    log.warning("a request could not be read", request_id=request_id, reason=type(raised).__name__, client=client)
    if status == 431:
        return _written(status, _HEAD_TOO_LARGE, _FORGET_COOKIES, request_id)
    reason = f"The request could not be read: {raised}"[:_LONGEST_REASON]
    title = "Validation error" if status == 400 else "Request refused"
    said: dict[str, object] = {"error": title, "details": {"field": "request", "message": reason}}
    if status > 500:
        said["requestId"] = request_id
    return _reply(status, said, request_id)


def _reply(status: int, said: Mapping[str, object], request_id: str) -> bytes:
    return _written(status, json.dumps(said).encode(), _JSON, request_id)


def _written(status: int, content: bytes, headers: Mapping[str, str], request_id: str) -> bytes:
    named = {**headers, "Content-Length": str(len(content)), "X-Request-ID": request_id, "Connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{head}\r\n".encode() + content
