"""A receiver of the outgoing webhook: keeps what it gets, and answers as it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Received:
    """headers: names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class WebhookReceiver:
    """Listens on a port of loopback from `__enter__` to `__exit__`. status, headers, said: of every answer from now on.

    may_answer: waited for before each answer; set at first.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.status, self.said = 204, b""
        self.headers: dict[str, str] = {}
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                outer.may_answer.wait(60)
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(outer.said)

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.host}/hook?token=1"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()
