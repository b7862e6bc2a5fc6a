"""Requests that were answered before, word for word, and whose reply is still the same.

A view that knows what its reply depends on says so with `is_repeatable`. The next such request reads only that, before
Flask does anything for it: most of what a small reply costs is what Flask does. A request that is not word for word the
same, or whose reply would be another one or an error, is answered by Flask as if it had never been asked.
"""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import request

from common.database import wait_budget
from common.errors import Busy
from common.telemetry.tracing import is_tracing
from web.http.server.request_counts import RequestCounts, route
from web.http.server.request_id import request_id_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MOST_BYTES = 4 * 2**20
"""Bytes that a process keeps: of replies, of requests, and of what the replies depend on."""
_OWN_BYTES = 1000
"""About what an entry takes beside them."""

_REPEATABLE = "aiworker.repeatable"
_FAILED = "aiworker.repeat_failed"
_REQUEST_ID = "x-request-id"
_ANOTHER_WAY = ("HTTP_UPGRADE", "HTTP_TRANSFER_ENCODING")
"""Requests with one of these headers, or with a body, go Flask's way."""

Headers = list[tuple[str, str]]
_Key = tuple[str | None, ...]


@dataclass(frozen=True)
class _Repeatable:
    read_state: Callable[[], object]
    state: object
    content: bytes


@dataclass(frozen=True)
class _CachedReply:
    """status, headers: as the server gets them, but for the request's id. count: counts one more such reply."""

    of: _Repeatable
    status: str
    headers: Headers
    size: int
    count: Callable[[float], None]


def is_repeatable(content: bytes, read_state: Callable[[], object], state: object) -> None:
    """Say that the reply to the current request has this content and depends on what `read_state` returns alone.

    read_state: is called again, outside of any request; admits the caller again, too, or raises a CallerError. state:
    what it returned before the reply was made, or something that is equal to it.
    """
    request.environ[_REPEATABLE] = _Repeatable(read_state, state, content)


def raise_failed(environ: WSGIEnvironment) -> None:
    """Raise what `ReplyCache.answer` raised for this request, as the database would let it wait as long once more."""
    failed = environ.get(_FAILED)
    if failed is not None:
        raise failed


class ReplyCache:
    """The replies of this process to requests that may come again. Those that were not asked for longest go first."""

    def __init__(self, counts: RequestCounts) -> None:
        self._counts = counts
        self._kept: OrderedDict[_Key, _CachedReply] = OrderedDict()
        self._bytes = 0

    def answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes] | None:
        """The reply to a request that was answered before and has the same reply still; None: Flask has to answer."""
        if environ["REQUEST_METHOD"] != "GET" or not self._kept:
            return None
        key = _key(environ)
        kept = self._kept.get(key)
        if kept is None or _goes_another_way(environ):
            return None
        began = time.perf_counter()
        try:
            with wait_budget.at_most(wait_budget.API_SECONDS):
                is_same = kept.of.read_state() == kept.of.state
        except Busy as busy:
            environ[_FAILED] = busy
            return None
        except Exception:  # noqa: BLE001 (Flask, which is asked next, meets it again, and answers, counts and logs it)
            is_same = False
        if not is_same:
            self._drop(key)
            return None
        # Other requests were served while this one waited for the database, and may have dropped it.
        if key in self._kept:
            self._kept.move_to_end(key)
        start_response(kept.status, [*kept.headers, ("X-Request-ID", request_id_of(environ))])
        kept.count(time.perf_counter() - began)
        return [kept.of.content]

    def keep(self, environ: WSGIEnvironment, status: str, headers: Headers) -> None:
        """Keep the reply to the current request if its view said that it is repeatable. headers: all of them."""
        repeatable: _Repeatable | None = environ.get(_REPEATABLE)
        if repeatable is None or environ["REQUEST_METHOD"] != "GET" or status[:3] not in {"200", "304"} or is_tracing():
            return
        key = _key(environ)
        own = [(name, value) for name, value in headers if name.lower() != _REQUEST_ID]
        size = _OWN_BYTES + _bytes_of((*key, repeatable.content, repeatable.state))
        count = self._counts.counter_of("GET", route(request), int(status[:3]))
        self._drop(key)
        self._kept[key] = _CachedReply(repeatable, status, own, size, count)
        self._bytes += size
        while self._bytes > MOST_BYTES:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: _Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= kept.size


def _bytes_of(value: object) -> int:
    """About what it takes in memory; a row counts with all that is in it."""
    return sys.getsizeof(value) + (sum(map(_bytes_of, value)) if isinstance(value, tuple) else 0)


def _goes_another_way(environ: WSGIEnvironment) -> bool:
    has_body = environ.get("CONTENT_LENGTH") not in {None, "", "0"}
    return has_body or any(name in environ for name in _ANOTHER_WAY)


def _key(environ: WSGIEnvironment) -> _Key:
    """All of a request that its reply may depend on, but for its id, which every reply repeats."""
    get = environ.get
    return (
        get("SCRIPT_NAME"), environ["PATH_INFO"], get("QUERY_STRING"), get("HTTP_HOST"), get("HTTP_AUTHORIZATION"),
        get("HTTP_IF_NONE_MATCH"),
    )  # fmt: skip
