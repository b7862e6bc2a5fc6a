"""Counters and latencies for Prometheus at /api/metrics and /metrics, right across processes.

With PROMETHEUS_MULTIPROC_DIR set, every process counts into files there and whoever is asked adds them up; that takes a
file system in memory (see gunicorn.conf.py). What the platform has, such as tasks by state, is not counted but looked
up when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint, Flask, Request, Response, g
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from prometheus_flask_exporter import PrometheusMetrics

from common.errors import Busy
from common.services.access import Caller
from common.services.health.measures import Measures, measure
from common.settings import settings
from common.states import Role
from web.health import look_at_disk
from web.http.auth import allow, public

_UNTRACKED = ["/api/health", "/api/metrics$", "/metrics$", "/ws$"]


def init_metrics(app: Flask) -> None:
    """Count every request by its route, never by its path: ids would make a series each."""
    exporter = PrometheusMetrics(
        app=None, path=None, group_by=route, registry=CollectorRegistry(), excluded_paths=_UNTRACKED
    )
    exporter.init_app(app)
    blueprint = Blueprint("metrics", __name__)

    def read_metrics() -> Response:
        text, content_type = exporter.generate_metrics()
        platform = CollectorRegistry()
        platform.register(PlatformCollector(g.get("principal")))
        return Response(text + generate_latest(platform).decode(), content_type=content_type)

    ruled = public(read_metrics) if settings().web.metrics_public else allow(Role.VIEWER)(read_metrics)
    blueprint.add_url_rule("/api/metrics", "api_metrics", ruled)
    blueprint.add_url_rule("/metrics", "metrics", ruled)
    app.register_blueprint(blueprint)


class PlatformCollector(Collector):
    """What there is for a caller, looked up at each scrape. With a database that is away, only that is told.

    None is a scraper inside a closed network (AIWORKER_METRICS_PUBLIC): it counts all projects, as administrators do.
    """

    def __init__(self, by: Caller | None) -> None:
        self._by = by

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            found = measure(self._by)
        except Busy:
            yield GaugeMetricFamily("aiworker_database_up", "Whether the database answers", value=0)
            return
        yield GaugeMetricFamily("aiworker_database_up", "Whether the database answers", value=1)
        free = "Room on the disk of this process's data directory"
        yield GaugeMetricFamily("aiworker_disk_free_bytes", free, value=look_at_disk().free_bytes)
        yield from _by_state(found)
        jobs = GaugeMetricFamily("aiworker_jobs", "Jobs that are not done", labels=["queue", "state"])
        for (queue, state), number in sorted(found.jobs.items()):
            jobs.add_metric([queue, state], number)
        yield jobs
        late = "For how long the oldest due job has waited"
        yield GaugeMetricFamily("aiworker_job_late_seconds", late, value=found.late_seconds)
        if found.sweep_seconds is not None:
            age = "How long ago the clockwork ticked"
            yield GaugeMetricFamily("aiworker_sweep_age_seconds", age, value=found.sweep_seconds)


def _by_state(found: Measures) -> Iterator[GaugeMetricFamily]:
    for name, what, label, counts in (
        ("projects", "Projects", "state", found.projects),
        ("tasks", "Tasks", "state", found.tasks),
        ("runs", "Runs that live", "state", found.runs),
        ("agents", "Agents", "status", found.agents),
        ("task_groups", "Task groups", "state", found.groups),
        ("deployments_active", "Deployments under way", "environment", found.deployments),
    ):
        family = GaugeMetricFamily(f"aiworker_{name}", what, labels=[label])
        for state, number in sorted(counts.items()):
            family.add_metric([state], number)
        yield family


def route(of: Request) -> str:
    """The label of a request: the rule that it matched."""
    return "none" if of.url_rule is None else of.url_rule.rule
