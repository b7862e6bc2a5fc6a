"""The span of a request, in the trace that its `traceparent` header names, else in a new one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Request

from common.telemetry.tracing import HEADER, Span, in_trace, is_tracing, span
from web.http.server.request_id import request_id

_SERVED = ("/api/", "/git/", "/gateway/")
_LEFT_OUT = ("/api/health", "/api/metrics", "/api/runner/heartbeat", "/api/runner/claim")
"""Asked for all the time, by whom nobody waits for."""


@contextmanager
def traced_request(request: Request) -> Iterator[Span]:
    """Record the request. The page, sockets and probes have no spans."""
    path = request.path
    if not is_tracing() or not path.startswith(_SERVED) or path.startswith(_LEFT_OUT):
        yield Span()
        return
    rule = request.url_rule.rule if request.url_rule is not None else "(no route)"
    about = {"http.request.method": request.method, "http.route": rule, "aiworker.request": request_id()}
    with in_trace(request.headers.get(HEADER)), span(f"{request.method} {rule}", "server", about) as traced:
        yield traced
