"""Logs for the operator: one JSON object per line on standard output, for our code and for libraries.

Bodies, tokens and texts that people wrote are never logged, and tracebacks show no local variables. Keys of a known
format that an exception's message contains are masked.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from common.masking import KNOWN_FORMATS
from common.settings import settings


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Writes a line of structlog's without an exception at once: the processors of all lines copy its record first."""

    def format(self, record: logging.LogRecord) -> str:
        # structlog notes its logger in its records; others have the processors of libraries before them.
        fields = record.msg if "_logger" in record.__dict__ else None
        if not isinstance(fields, dict) or "exc_info" in fields or record.exc_info or record.stack_info:
            return super().format(record)
        return _without_keys(None, "", _render(None, "", fields))


_render = structlog.processors.JSONRenderer()
# Lines show nothing of these, and each is looked up for each line otherwise: see "Optimization" in logging's manual.
# Not logProcesses, which gunicorn's own lines need.
logging.logThreads = logging.logMultiprocessing = False


def configure_logs() -> None:
    """Configure structlog and the standard library's logging to write the same format. Safe to repeat."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(_level()),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        _Formatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _render,
                _without_keys,
            ],
        )
    )
    handler.set_name("aiworker")
    root = logging.getLogger()
    root.handlers = [kept for kept in root.handlers if kept.get_name() != "aiworker"] + [handler]
    root.setLevel(_level())


def _without_keys(_logger: Any, _method: str, line: Any) -> str:
    return KNOWN_FORMATS(line)


def _level() -> int:
    return logging.getLevelNamesMapping().get(settings().log_level, logging.INFO)
