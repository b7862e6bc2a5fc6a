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
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
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
