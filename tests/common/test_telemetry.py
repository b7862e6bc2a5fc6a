"""Traces and error reports: nothing is loaded without an address, and no secret leaves the machine with one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from common.errors import Misconfigured
from common.settings.telemetry import TelemetrySettings
from common.telemetry.tracing import in_trace, span, trace_headers, trace_parent, trace_variables
from tests.doubles.sentry_receiver import SentryReceiver
from tests.servers import ROOT

HEAVY = {
    "opentelemetry.sdk.trace",
    "opentelemetry.sdk.metrics",
    "opentelemetry.exporter",
    "google.protobuf",
    "sentry_sdk",
}
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
KEY = "sk-ant-api03-" + "Ab1" * 31 + "-" + "x" * 8 + "AA"


def run(program: str, **environ: str) -> str:
    """What a new process prints."""
    command = [sys.executable, "-c", program]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **environ}
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize(
    "start",
    [
        "from web.app import create_app; create_app()",
        "import workers.runner.__main__",
    ],
)
def test_no_process_loads_the_libraries_without_an_address(start: str, tmp_path: object) -> None:
    environ = {"AIWORKER_DATA_DIR": str(tmp_path), "OTEL_EXPORTER_OTLP_ENDPOINT": "", "SENTRY_DSN": ""}
    loaded = (
        run(f"import sys\n{start}\nprint(*(name for name, it in sys.modules.items() if it))", **environ)
        .splitlines()[-1]
        .split()
    )

    assert "common.telemetry.tracing" in loaded or "common.telemetry.error_reports" in loaded
    assert set(loaded) & HEAVY == set()


@pytest.mark.parametrize("wrong", [None, "x", PARENT + "\n", f"00-{'0' * 32}-{'0' * 16}-01"])
def test_what_is_no_traceparent_is_not_passed_on(wrong: str | None) -> None:
    with in_trace(wrong):
        assert trace_parent() is None


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "SENTRY_DSN"])
def test_an_address_that_is_none_is_named_without_its_value(name: str) -> None:
    with pytest.raises(Misconfigured, match=f"^{name} is not an http or https address$"):
        TelemetrySettings.from_env({name: "ftp://secret@example.org"})


PROGRAM = """
import logging, structlog
from common.telemetry.error_reports import flush_error_reports, start_error_reports
from common.telemetry.logs import configure_logs
configure_logs()
start_error_reports("worker")
configure_logs()

def fail(key):
    held = {"key": key}
    raise ValueError(f"can't use {key} for this", held)

for log in (structlog.get_logger().bind(job="run.verify", subject="1"), logging.getLogger("plain")):
    try:
        fail("%s")
    except ValueError:
        log.exception("job failed")
    log.error("an error without a traceback")
    log.warning("a warning", exc_info=ValueError("of no interest"))
flush_error_reports()
"""


def test_a_logged_exception_is_reported_without_keys_and_values(tmp_path: object) -> None:
    with SentryReceiver() as receiver:
        environ = {"AIWORKER_DATA_DIR": str(tmp_path), "SENTRY_DSN": receiver.dsn, "SENTRY_ENVIRONMENT": "tests"}
        printed = run(PROGRAM % KEY, **environ)

    first, second = receiver.events
    tags = {"service": "worker", "job": "run.verify", "subject": "1"}
    assert tags.items() <= first["tags"].items()
    assert second["tags"]["logger"] == "plain"
    for event in (first, second):
        (raised,) = event["exception"]["values"]
        assert (raised["type"], event["environment"]) == ("ValueError", "tests")
        assert raised["value"].startswith('("can\'t use *** for this"')
        assert [frame["function"] for frame in raised["stacktrace"]["frames"]] == ["<module>", "fail"]
        assert not any("vars" in frame for frame in raised["stacktrace"]["frames"])
        assert not {"server_name", "user", "request", "modules", "extra"} & set(event)
    assert KEY.encode() not in b"".join(receiver.raw)
    assert KEY not in printed


def test_a_trace_is_passed_on_where_nothing_is_exported() -> None:
    """An agent without an address of its own does not cut the trace of its platform."""
    with span("nothing") as nothing:
        nothing.note("a", 1)
        nothing.fail("Nothing")
        assert trace_parent() is None
    with in_trace(PARENT), span("nothing"):
        assert (trace_headers(), trace_variables()) == ({"traceparent": PARENT}, {"TRACEPARENT": PARENT})
    assert (trace_parent(), trace_headers(), trace_variables()) == (None, {}, {})
