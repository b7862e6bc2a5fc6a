"""Counts of requests and how long they took, under the names that prometheus_flask_exporter gives them.

The exporter looks its series up by their labels, twice for each request, and matches the path with patterns. Here the
series of a route are looked up once.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Request
from prometheus_client import CollectorRegistry, Counter, Histogram

_UNTRACKED = frozenset({"/api/metrics", "/metrics", "/ws"})
_HEALTH = "/api/health"
"""Asked for all the time, by whom nobody waits for."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""A request may name any other, and each would be a series of its own."""


class RequestCounts:
    """The series of this process, in the registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "flask_http_request_duration_seconds", "Flask HTTP request duration in seconds",
            ("method", "route", "status"), registry=registry,
        )  # fmt: skip
        self._total = Counter(
            "flask_http_request_total", "Total number of HTTP requests", ("method", "status"), registry=registry
        )
        self._exceptions = Counter(
            "flask_http_request_exceptions_total", "Total number of HTTP requests which resulted in an exception",
            ("method", "status"), registry=registry,
        )  # fmt: skip
        self._series: dict[tuple[str, str, int], tuple[Histogram, Counter]] = {}

    def count(self, request: Request, status: int, seconds: float) -> None:
        """Count an answered request. Probes, scrapes and sockets are left out."""
        path = request.path
        if path in _UNTRACKED or path.startswith(_HEALTH):
            return
        duration, total = self._series_of(method(request), route(request), status)
        duration.observe(seconds)
        total.inc()

    def counter_of(self, method: str, route: str, status: int) -> Callable[[float], None]:
        """A function that counts one more answered request of this kind, with its seconds."""
        duration, total = self._series_of(method, route, status)

        def count(seconds: float) -> None:
            duration.observe(seconds)
            total.inc()

        return count

    def _series_of(self, method: str, route: str, status: int) -> tuple[Histogram, Counter]:
        # Known methods, routes and statuses alone, so that nobody can make series without end.
        key = method, route, status
        series = self._series.get(key)
        if series is None:
            duration = self._seconds.labels(method=method, route=route, status=status)
            series = self._series[key] = duration, self._total.labels(method=method, status=status)
        return series

    def count_exception(self, request: Request, seconds: float) -> None:
        """Count a request that ended in an exception that no handler of errors took."""
        self._exceptions.labels(method=method(request), status=500).inc()
        self.count(request, 500, seconds)


def method(of: Request) -> str:
    """The label of a request's method; `other` for one that no view has."""
    return of.method if of.method in _METHODS else "other"


def route(of: Request) -> str:
    """The label of a request: the rule that it matched, or `none`."""
    return "none" if of.url_rule is None else of.url_rule.rule
