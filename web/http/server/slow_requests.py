"""A line of the log for each request of the API that took long, so that they are found without a metrics server."""

from __future__ import annotations

import structlog
from flask import Request

from web.http.server.request_counts import method, route
from web.http.server.request_id import request_id_of

_API = "/api/"
_LEFT_OUT = ("/api/runner/", "/api/health", "/api/metrics")
"""Agents wait in their requests for work, messages and answers. Probes and scrapes wait for other servers."""
SLOW_SECONDS = 2.0

log = structlog.get_logger()


def log_if_slow(request: Request, status: int, seconds: float) -> None:
    """Log a request of the API that took SLOW_SECONDS or longer, without what it asked for."""
    if seconds < SLOW_SECONDS or not request.path.startswith(_API) or request.path.startswith(_LEFT_OUT):
        return
    log.warning(
        "a request was slow",
        request_id=request_id_of(request.environ),
        method=method(request),
        route=route(request),
        status=status,
        seconds=round(seconds, 3),
    )
