"""A web server on loopback that tests reach, or must not reach, from a sandbox."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class LocalServer:
    """port: of loopback. seen: method and path of each request. go_on: `/stream` sends its second half after it."""

    port: int = 0
    seen: list[str] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, place: LocalServer, address: str) -> None:
        super().__init__((address, 0), _Handler)
        self.place = place


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        place = self.server.place
        place.seen.append(f"{self.command} {self.path}")
        if not self.path.endswith("/stream"):
            self._answer(f"{self.path} for {self.headers['Host']}".encode())
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._chunk(b"data: first\n\n")
        place.go_on.wait(60)
        self._chunk(b"data: second\n\n")
        self._chunk(b"")

    def do_POST(self) -> None:
        self.server.place.seen.append(f"{self.command} {self.path}")
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(b"%d bytes" % len(body))

    def _answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(content), content))
        self.wfile.flush()

    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def web_server(address: str = "127.0.0.1") -> Iterator[LocalServer]:
    place = LocalServer()
    with _Server(place, address) as server:
        place.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield place
        finally:
            place.go_on.set()
            server.shutdown()
            thread.join()
