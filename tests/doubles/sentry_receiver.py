"""A receiver of error reports, as a Sentry server takes them: keeps every event that it is sent."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class SentryReceiver:
    """Listens on a port of loopback from `__enter__` to `__exit__`. raw: the bodies, unpacked."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.raw: list[bytes] = []

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Content-Encoding"] == "gzip":
                    body = gzip.decompress(body)
                outer.raw.append(body)
                outer.events += _events(body)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.dsn = f"http://abcdef0123456789@127.0.0.1:{self._server.server_port}/1"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def of(self, service: str) -> list[dict[str, Any]]:
        return [event for event in list(self.events) if event["tags"]["service"] == service]


def _events(envelope: bytes) -> list[dict[str, Any]]:
    """An envelope is a line of its own, then two for each item: a heading and the item."""
    lines = [json.loads(line) for line in envelope.splitlines() if line]
    pairs = zip(lines[1::2], lines[2::2], strict=True)
    return [item for heading, item in pairs if heading["type"] == "event"]
