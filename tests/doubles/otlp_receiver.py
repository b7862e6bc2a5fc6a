"""A receiver of traces over OTLP/HTTP: keeps every span that it is sent."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


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


class OtlpReceiver:
    """Listens on a port of loopback from `__enter__` to `__exit__`."""

    def __init__(self) -> None:
        self.spans: list[ReceivedSpan] = []

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Content-Encoding"] == "gzip":
                    body = gzip.decompress(body)
                outer.spans += _read(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

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
