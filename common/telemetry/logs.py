"""Logs for the operator: one JSON object per line on standard output, for our code and for libraries.

Bodies, tokens and texts that people wrote are never logged, and tracebacks show no local variables. Keys of a known
format that an exception's message contains are masked.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any, TextIO

import structlog

from common.secrets.masking import KNOWN_FORMATS
from common.settings import settings


class _Lines(logging.StreamHandler[TextIO]):
    """Writes lines to standard output."""

    def write(self, line: str) -> None:
        """As a record's, which is formatted already. Raises what the stream raises."""
        self.acquire()
        try:
            self.stream.write(line + self.terminator)
            self.stream.flush()
        finally:
            self.release()


def _write_at_once(
    logger: structlog.typing.WrappedLogger, method: str, fields: structlog.typing.EventDict
) -> structlog.typing.ProcessorReturnValue:
    """The last step of a line of structlog's: write it, and go no further.

    A record of the standard library costs more than the line. It is made only for what has an exception, where another
    handler wants it, as in tests, and if the line can't be written, which that library then says.
    """
    handlers = logging.root.handlers
    output = handlers[0] if len(handlers) == 1 else None
    if isinstance(output, _Lines) and "exc_info" not in fields and "stack_info" not in fields:
        line = _without_keys(None, "", _render(None, "", fields))
        with contextlib.suppress(OSError, ValueError):
            output.write(line)
            raise structlog.DropEvent
    return structlog.stdlib.ProcessorFormatter.wrap_for_formatter(logger, method, fields)


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
        processors=[*shared, _write_at_once],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(_level()),
        cache_logger_on_first_use=False,
    )
    handler = _Lines(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
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
    logging.getLogger("urllib3.connection").addFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    """Its message says all: that an answer's headers are malformed, and whose."""
    record.exc_info = None
    return True


def _without_keys(_logger: Any, _method: str, line: Any) -> str:
    return KNOWN_FORMATS(line)


def _level() -> int:
    return logging.getLevelNamesMapping().get(settings().log_level, logging.INFO)
