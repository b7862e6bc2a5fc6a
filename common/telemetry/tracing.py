"""Traces: what a request led to, over its jobs and the runs of agents, sent to an OTLP/HTTP receiver.

Without OTEL_EXPORTER_OTLP_ENDPOINT nothing of OpenTelemetry is loaded, and all of this does nothing. Where a trace goes
on in another process, its `traceparent` (W3C Trace Context) stands in the row of the job or task, in the claim of a
run, in the header of a request, and in the environment of an agent's programs.

Spans hold ids, kinds and states. They hold no texts of people or agents, and of an error its type alone.
"""

from __future__ import annotations

import contextlib
import contextvars
import importlib
import os
import re
import threading
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from common.settings.telemetry import TelemetrySettings

if TYPE_CHECKING:
    from opentelemetry.trace import Span as RecordedSpan

    from common.telemetry.span_export import SpanExport

HEADER = "traceparent"
VARIABLE = "TRACEPARENT"
"""The environment variable by which programs take up a trace."""
LONGEST = 55
"""Characters of a traceparent."""

Kind = Literal["server", "consumer", "internal"]
Value = str | int | bool | None
NOTHING: Mapping[str, Value] = MappingProxyType({})

_FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

_going_on: contextvars.ContextVar[str | None] = contextvars.ContextVar("traceparent", default=None)


_export: SpanExport | None = None
_starting = threading.Lock()


class Span:
    """A span that is being recorded, or none."""

    def __init__(self, recorded: RecordedSpan | None = None) -> None:
        self._recorded = recorded

    def note(self, name: str, value: Value) -> None:
        """Add what is known of it. None is left out."""
        if self._recorded is not None and value is not None:
            self._recorded.set_attribute(name, value)

    def fail(self, reason: str) -> None:
        """It ended badly. reason: one word or a type, never a text that somebody wrote."""
        if self._recorded is not None and _export is not None:
            _export.fail(self._recorded, reason)


def start_tracing(service: str) -> None:
    """Export the spans of this process as those of `aiworker-<service>`. Does nothing without an address.

    Safe to repeat. A forked child calls it again. Raises Misconfigured.
    """
    global _export
    if TelemetrySettings.from_env().otlp_endpoint is None:
        return
    with _starting:
        if _export is None or _export.pid != os.getpid():
            # Loaded where traces are exported: it costs a tenth of a second.
            _export = importlib.import_module("common.telemetry.span_export").SpanExport(service)


def stop_tracing() -> None:
    """Send what was not sent yet, and end. For processes that end without the usual clean-up. Safe to repeat."""
    global _export
    with _starting:
        ending, _export = _export, None
        if ending is not None and ending.pid == os.getpid():
            ending.close()


def is_tracing() -> bool:
    """Whether this process exports spans."""
    return _export is not None


def trace_parent() -> str | None:
    """The traceparent of what goes on in this thread; None if that belongs to no trace."""
    return _going_on.get()


def trace_variables() -> dict[str, str]:
    """The environment with which a program takes up the present trace. Empty: there is none."""
    parent = _going_on.get()
    return {} if parent is None else {VARIABLE: parent}


def trace_headers() -> dict[str, str]:
    """The same for a request to another process."""
    parent = _going_on.get()
    return {} if parent is None else {HEADER: parent}


@contextlib.contextmanager
def in_trace(parent: str | None) -> Iterator[None]:
    """What happens inside belongs to this trace. parent: None, or what is no traceparent: as before."""
    if parent is None or not _FORM.fullmatch(parent):
        yield
        return
    token = _going_on.set(parent)
    try:
        yield
    finally:
        _going_on.reset(token)


@contextlib.contextmanager
def span(name: str, kind: Kind = "internal", attributes: Mapping[str, Value] = NOTHING) -> Iterator[Span]:
    """Record what happens inside as a span of the present trace, else as the first of a new one.

    attributes: see `Span.note`. An exception marks it as failed, and goes on.
    """
    export = _export
    if export is None:
        yield Span()
        return
    recorded = export.begin(name, kind, _going_on.get())
    shown = Span(recorded)
    for key, value in attributes.items():
        shown.note(key, value)
    token = _going_on.set(export.traceparent_of(recorded))
    try:
        yield shown
    except BaseException as error:
        shown.fail(type(error).__name__)
        raise
    finally:
        _going_on.reset(token)
        recorded.end()
