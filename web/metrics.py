"""Counters and latencies for Prometheus at /api/metrics and /metrics, right across processes.

With PROMETHEUS_MULTIPROC_DIR set, every process counts into files there and whoever is asked adds them up.
"""

from __future__ import annotations

from flask import Blueprint, Flask, Request, Response, request
from prometheus_client import CollectorRegistry
from prometheus_flask_exporter import PrometheusMetrics

from common.settings import settings
from common.states import Role
from web.auth import allow, public

_UNTRACKED = ["/api/health", "/api/metrics$", "/metrics$", "/ws$"]


def init_metrics(app: Flask) -> None:
    """Count every request by its route, never by its path: ids would make a series each."""
    exporter = PrometheusMetrics(
        app=None, path=None, group_by=route, registry=CollectorRegistry(), excluded_paths=_UNTRACKED
    )
    exporter.init_app(app)
    blueprint = Blueprint("metrics", __name__)

    def read_metrics() -> Response:
        text, content_type = exporter.generate_metrics(request.headers.get("Accept"))
        return Response(text, content_type=content_type)

    ruled = public(read_metrics) if settings().web.metrics_public else allow(Role.VIEWER)(read_metrics)
    blueprint.add_url_rule("/api/metrics", "api_metrics", ruled)
    blueprint.add_url_rule("/metrics", "metrics", ruled)
    app.register_blueprint(blueprint)


def route(of: Request) -> str:
    """The label of a request: the rule that it matched."""
    return "none" if of.url_rule is None else of.url_rule.rule
