"""A receiver of traces over OTLP/HTTP: keeps every span that it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.doubles.post_receiver import Answer, PostReceiver


@dataclass(frozen=True)
class ReceivedSpan:
    """trace_id, span_id, parent_id: hex digits; parent_id: empty for the first of a trace. is_failed: by its status."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: Mapping[str, object]
    is_failed: bool


class OtlpReceiver(PostReceiver):
    def __init__(self) -> None:
        self.spans: list[ReceivedSpan] = []

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.spans += _read(ExportTraceServiceRequest.FromString(body))
        return Answer()

    def of_trace(self, trace_id: str) -> dict[str, ReceivedSpan]:
        """The spans of one trace by `service: name`; of several, the last."""
        return {f"{one.service}: {one.name}": one for one in list(self.spans) if one.trace_id == trace_id}


def _read(request: ExportTraceServiceRequest) -> list[ReceivedSpan]:
    found = []
    for part in request.resource_spans:
        about = {one.key: one.value.string_value for one in part.resource.attributes}
        for scope in part.scope_spans:
            for span in scope.spans:
                attributes = {one.key: one.value.string_value or one.value.int_value for one in span.attributes}
                found.append(
                    ReceivedSpan(
                        about["service.name"], span.name, span.trace_id.hex(), span.span_id.hex(),
                        span.parent_span_id.hex(), attributes, span.status.code == 2,
                    )
                )  # fmt: skip
    return found
