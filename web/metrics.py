"""Counters, latencies and gauges for Prometheus at /api/metrics and /metrics.

With PROMETHEUS_MULTIPROC_DIR set, every process counts in files there, and a scrape adds them up; the directory has to
be on a file system in memory (see gunicorn.conf.py). The platform's own numbers, such as tasks by state, are read from
the database at each scrape.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flask import Blueprint, Flask, Response, g
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from prometheus_flask_exporter import PrometheusMetrics

from common.errors import Busy
from common.services.activity.metrics import Measures, measure
from common.services.agents.ready_task_count import count_ready_tasks
from common.services.caps.caps import CapUse
from common.services.requests.access import Caller
from common.services.spend.cap_settings import read_platform_caps
from common.services.spend.today import SpentToday, spent_today
from common.settings import settings
from common.values.states import Role
from web.health import read_disk
from web.http.auth import allow, public
from web.http.server.request_counts import RequestCounts


def init_metrics(app: Flask, *counters: Collector) -> RequestCounts:
    """Serve the metrics. Returns what counts requests: by route, not by path, or each id would become a series.

    counters: those of this process that are shown, too.
    """
    registry = CollectorRegistry()
    for counter in counters:
        registry.register(counter)
    exporter = PrometheusMetrics(app=None, path=None, export_defaults=False, registry=registry)
    exporter.init_app(app)
    about = "Information about the Prometheus Flask exporter"
    exporter.info("flask_exporter_info", about, version=exporter.version)
    counts = RequestCounts(registry)
    blueprint = Blueprint("metrics", __name__)

    def read_metrics() -> Response:
        text, content_type = exporter.generate_metrics()
        platform = CollectorRegistry()
        platform.register(PlatformCollector(g.get("principal")))
        return Response(text + generate_latest(platform).decode(), content_type=content_type)

    def read_without_database(_error: Busy) -> Response:
        """Also where it was needed to know the caller: what is told then is what /api/health tells everybody."""
        platform = CollectorRegistry()
        platform.register(DatabaseDownCollector())
        return Response(generate_latest(platform), content_type=CONTENT_TYPE_LATEST)

    blueprint.register_error_handler(Busy, read_without_database)
    ruled = public(read_metrics) if settings().web.metrics_public else allow(Role.VIEWER)(read_metrics)
    blueprint.add_url_rule("/api/metrics", "api_metrics", ruled)
    blueprint.add_url_rule("/metrics", "metrics", ruled)
    app.register_blueprint(blueprint)
    return counts


class DatabaseDownCollector(Collector):
    """The number that is told when the database does not answer."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield _database_up(False)


class PlatformCollector(Collector):
    """The numbers that a caller may see, read at each scrape; without the database, only aiworker_database_up.

    by: None for a scraper without a token (AIWORKER_METRICS_PUBLIC); it gets the numbers of all projects.
    """

    def __init__(self, by: Caller | None) -> None:
        self._by = by

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            found = measure(self._by)
            ready_tasks = count_ready_tasks(self._by)
            # Names of projects and what they cost are for people who may see them, never for whoever asks.
            spent = [] if self._by is None else spent_today(self._by)
            uses = read_platform_caps(by=self._by).uses if self._by is not None and self._by.is_admin else ()
        except Busy:
            yield _database_up(False)
            return
        yield _database_up(True)
        disk = read_disk()
        free = "Free bytes on the disk of this process's data directory"
        yield GaugeMetricFamily("aiworker_disk_free_bytes", free, value=disk.free_bytes)
        reserve = "Bytes that must be free on that disk for new work to begin"
        yield GaugeMetricFamily("aiworker_disk_reserve_bytes", reserve, value=disk.reserve_bytes)
        yield from _by_state(found)
        waiting = "Tasks that wait for nothing but an agent, up to 1000 of a kind"
        yield GaugeMetricFamily("aiworker_tasks_waiting", waiting, value=ready_tasks)
        jobs = GaugeMetricFamily("aiworker_jobs", "Jobs that are not done", labels=["queue", "state"])
        for (queue, state), number in sorted(found.jobs.items()):
            jobs.add_metric([queue, state], number)
        yield jobs
        late = "Seconds that the oldest due job has waited"
        yield GaugeMetricFamily("aiworker_job_late_seconds", late, value=found.late_seconds)
        if found.sweep_seconds is not None:
            age = "Seconds since the last sweep"
            yield GaugeMetricFamily("aiworker_sweep_age_seconds", age, value=found.sweep_seconds)
        if self._by is not None:
            yield from _of_today(spent)
        if uses:
            yield _of_caps(uses)


def _database_up(answers: bool) -> GaugeMetricFamily:
    return GaugeMetricFamily("aiworker_database_up", "Whether the database answers", value=int(answers))


def _of_today(spent: list[SpentToday]) -> Iterator[GaugeMetricFamily]:
    """Falls to zero at midnight (UTC). aiworker_model_cost_usd_total, of the gateway, only rises."""
    labels = ["project", "driver", "model"]
    usd = GaugeMetricFamily("aiworker_spend_today_usd", "US dollars spent on models since midnight UTC", labels=labels)
    tokens = GaugeMetricFamily("aiworker_spend_today_tokens", "Tokens used of models since midnight UTC", labels=labels)
    for one in spent:
        usd.add_metric([one.project, one.driver, one.model], one.cost_usd)
        tokens.add_metric([one.project, one.driver, one.model], one.tokens)
    yield usd
    yield tokens


def _of_caps(uses: Sequence[CapUse]) -> GaugeMetricFamily:
    """1: the cap is reached."""
    ratio = GaugeMetricFamily("aiworker_cap_used_ratio", "Used share of a cap", labels=["cap", "period", "scope"])
    for use in uses:
        ratio.add_metric([use.cap, use.period, use.scope], use.used / use.limit)
    return ratio


def _by_state(found: Measures) -> Iterator[GaugeMetricFamily]:
    for name, what, label, counts in (
        ("projects", "Projects", "state", found.projects),
        ("tasks", "Tasks", "state", found.tasks),
        ("runs", "Live runs", "state", found.runs),
        ("agents", "Agents", "status", found.agents),
        ("task_groups", "Task groups", "state", found.groups),
        ("deployments_active", "Deployments in progress", "environment", found.deployments),
    ):
        family = GaugeMetricFamily(f"aiworker_{name}", what, labels=[label])
        for state, number in sorted(counts.items()):
            family.add_metric([state], number)
        yield family
