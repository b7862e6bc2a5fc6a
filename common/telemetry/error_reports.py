"""Reports of errors that are bugs, to the operator's Sentry: whatever is logged as an error with its traceback.

Without SENTRY_DSN nothing is loaded or sent. Errors of callers and of other systems are not logged so, and not
reported: people are told of them where they happen.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import sys
from collections.abc import Mapping
from typing import Any

from common.errors import Misconfigured
from common.settings.telemetry import TelemetrySettings

TAGS = ("job", "subject", "attempt", "request_id", "run_id", "driver")
"""Fields of a log line that a report is found by: ids, kinds and numbers."""


class ErrorReports(logging.Handler):
    """Hands over the exceptions of log records. pid: of the process that it reports for."""

    def __init__(self, export: Any, service: str) -> None:
        super().__init__(logging.ERROR)
        self.service = service
        self.pid = os.getpid()
        self.export = export

    def emit(self, record: logging.LogRecord) -> None:
        # structlog's records carry their fields, `exc_info` among them, in place of a message.
        fields: Mapping[str, Any] = record.msg if isinstance(record.msg, dict) else record.__dict__
        error = _exception(record.exc_info or fields.get("exc_info"))
        # What the library itself logs would come back here.
        if error is None or record.name.startswith("sentry_sdk"):
            return
        tags = {name: str(fields[name]) for name in TAGS if fields.get(name) is not None}
        self.export.report(error, {"service": self.service, "logger": record.name, **tags})


_reports: ErrorReports | None = None


def start_error_reports(service: str) -> None:
    """Report what this process logs from now on, as the errors of `service`. Does nothing without an address.

    Safe to repeat. A forked child calls it again. Raises Misconfigured.
    """
    global _reports
    settings = TelemetrySettings.from_env()
    if settings.sentry_dsn is None or (_reports is not None and _reports.pid == os.getpid()):
        return
    export = importlib.import_module("common.telemetry.error_export")
    try:
        export.start(settings.sentry_dsn, environment=settings.sentry_environment)
    except ValueError as error:
        raise Misconfigured("SENTRY_DSN is not an address as Sentry shows it") from error
    root = logging.getLogger()
    if _reports is not None:
        root.removeHandler(_reports)
    _reports = ErrorReports(export, service)
    root.addHandler(_reports)
    atexit.register(flush_error_reports)


def flush_error_reports() -> None:
    """Wait until the reports are sent, for two seconds at most. For processes that end without the usual clean-up."""
    if _reports is not None:
        _reports.export.flush()


def _exception(exc_info: Any) -> BaseException | None:
    if exc_info is True:
        return sys.exc_info()[1]
    if isinstance(exc_info, tuple):
        exc_info = exc_info[1]
    return exc_info if isinstance(exc_info, BaseException) else None
