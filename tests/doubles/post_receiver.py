"""A server of a test's own that others post to."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class PostReceiver:
    """Listens on a port of loopback from `__enter__` to `__exit__`. host: its address, with the port."""

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer | None:
        """What a request is answered; None: nothing, its connection is closed. headers: names in lower case. body:
        unpacked. Called in a thread of its own.
        """
        raise NotImplementedError

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                if headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                answer = receiver.answer(self.path, headers, body)
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in ({"Content-Length": str(len(answer.body))} | dict(answer.headers)).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
