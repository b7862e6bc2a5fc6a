"""Records spans with OpenTelemetry and sends them over OTLP/HTTP.

Loaded by name, by common/telemetry/tracing.py alone.
"""

from __future__ import annotations

import os
import sys

# See common/__init__.py.
if sys.modules.get("opentelemetry.sdk.metrics", sys) is None:
    del sys.modules["opentelemetry.sdk.metrics"]

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

FLUSH_SECONDS = 5

_KINDS = {"server": SpanKind.SERVER, "consumer": SpanKind.CONSUMER, "internal": SpanKind.INTERNAL}


class SpanExport:
    """The spans of this process, sent in batches by a thread. Threads do not survive a fork: a child makes its own."""

    def __init__(self, service: str) -> None:
        self.pid = os.getpid()
        self._provider = TracerProvider(resource=Resource.create({"service.name": f"aiworker-{service}"}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("aiworker")

    def begin(self, name: str, kind: str, parent: str | None) -> Span:
        """parent: a traceparent; None: the span begins a trace."""
        # Not the library's own idea of the present span: threads and greenlets have that of
        # common/telemetry/tracing.py.
        context = TraceContextTextMapPropagator().extract({"traceparent": parent} if parent else {})
        return self._tracer.start_span(name, context=context, kind=_KINDS[kind])

    def close(self) -> None:
        """Send what was not sent yet. Takes a few seconds at most."""
        self._provider.force_flush(FLUSH_SECONDS * 1000)
        self._provider.shutdown()

    @staticmethod
    def traceparent_of(span: Span) -> str:
        context = span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"

    @staticmethod
    def fail(span: Span, reason: str) -> None:
        span.set_status(Status(StatusCode.ERROR, reason))
