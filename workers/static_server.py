"""A file server for repositories that are static websites: `python static.py <directory>`, on HOST and PORT.

It runs as a child process, by its path and with an isolated interpreter, so it imports nothing of AiWorker. It lists no
directories, serves no names that start with a dot (such as .git) except .well-known, and follows no link out of the
directory. All parts of AiWorker use `open_inside` to open a file by a path from a repository.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import mimetypes
import os
import socket
import stat
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO, TypeAlias
from urllib.parse import unquote, urlsplit

Connection: TypeAlias = "socket.socket | tuple[bytes, socket.socket]"

TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".wasm": "application/wasm",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
    ".md": "text/markdown",
}

MOST_CONNECTIONS = 100
"""Each connection has a thread; further connections wait until one has ended."""
IDLE_SECONDS = 1.0
"""How long a connection may wait for a request while another client waits for a thread."""
IDLE_CHECK_SECONDS = 0.1


def open_inside(root: Path, *names: str) -> BinaryIO:
    """Open the regular file root/names for reading. Raises OSError if there is none, IsADirectoryError for a directory.

    Symbolic links are followed if they stay inside the root and lead to no name that starts with a dot, except
    .well-known. The resolved path is checked and then opened directory by directory without following links, so a link
    that is created meanwhile has no effect. Opening a pipe does not block.
    """
    root = root.resolve()
    try:
        # Only parts below the root are checked: the root itself may lie below a name with a dot.
        parts = root.joinpath(*names).resolve().relative_to(root).parts
    except (ValueError, RuntimeError) as error:
        raise FileNotFoundError(f"{'/'.join(names)} is not in {root}") from error
    if not parts or not all(map(is_shown, parts)):
        raise FileNotFoundError(f"{'/'.join(parts)} is hidden")
    place = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
            os.close(place)
            place = inner
        found = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
    finally:
        os.close(place)
    mode = os.fstat(found).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(found, "rb")
    os.close(found)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{'/'.join(parts)} is a directory")
    raise FileNotFoundError(f"{'/'.join(parts)} is not a regular file")


def is_shown(name: str) -> bool:
    return not name.startswith(".") or name == ".well-known"


class Site(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "aiworker-static"
    sys_version = ""
    timeout = 15
    # Head and body are two writes: with Nagle's algorithm the second would wait some 40 ms for the first's ACK.
    disable_nagle_algorithm = True

    def __init__(self, request: Connection, client: object, server: Sites, *, root: Path) -> None:
        self._root = root
        self._sites = server
        super().__init__(request, client, server)

    def handle_one_request(self) -> None:
        self._sites.note_idle(self.connection)
        try:
            super().handle_one_request()
        finally:
            self._sites.note_busy(self.connection)

    def end_headers(self) -> None:
        # The body of a request is not read: the next request would be taken from it.
        if not self.close_connection and self._has_body():
            self.send_header("Connection", "close")
        super().end_headers()

    def _has_body(self) -> bool:
        return "Transfer-Encoding" in self.headers or self.headers.get("Content-Length", "0").strip() != "0"

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        self._sites.note_busy(self.connection)
        try:
            asked = urlsplit(self.path).path
        except ValueError:  # such as half an address of IPv6
            self.send_error(400)
            return
        path = unquote(asked)
        names = [name for name in path.split("/") if name]
        if "\0" in path or not all(map(is_shown, names)):
            self.send_error(404)
            return
        if path.endswith("/"):
            names.append("index.html")
        try:
            file = open_inside(self._root, *names)
        except IsADirectoryError:
            self._redirect("/" + asked.strip("/") + "/")
        except OSError:
            self.send_error(404)
        else:
            with file:
                self._send(file, names[-1], with_body)

    def _redirect(self, to: str) -> None:
        self.send_response(301)
        self.send_header("Location", to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, file: BinaryIO, name: str, with_body: bool) -> None:
        size = os.fstat(file.fileno()).st_size
        self.send_response(200)
        self.send_header("Content-Type", content_type(name))
        self.send_header("Content-Length", str(size))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if with_body and size and self.connection.sendfile(file, count=size) != size:
            # The file became shorter meanwhile: closing the connection tells the client that the body is incomplete.
            self.close_connection = True


class Sites(http.server.ThreadingHTTPServer):
    """The server. Serves at most MOST_CONNECTIONS at a time.

    Browsers keep several connections each for requests that may never come. While a client waits for a thread, the
    connection that has waited longest for a request is ended.
    """

    request_queue_size = 128

    def __init__(self, address: tuple[str, int], root: Path) -> None:
        self._free = threading.Semaphore(MOST_CONNECTIONS)
        self._lock = threading.Lock()
        self._idle_since: dict[socket.socket, float] = {}
        super().__init__(address, functools.partial(Site, root=root))

    def process_request(self, request: Connection, client_address: object) -> None:
        # While this waits, no connection is accepted: further clients wait in the kernel's queue.
        is_free = self._free.acquire(blocking=False)
        while not is_free:
            self._end_idle()
            is_free = self._free.acquire(timeout=IDLE_CHECK_SECONDS)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Connection, client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def note_idle(self, connection: socket.socket) -> None:
        """The connection waits for a request. Its thread must call note_busy before it closes the connection."""
        with self._lock:
            self._idle_since[connection] = time.monotonic()

    def note_busy(self, connection: socket.socket) -> None:
        """A request has come on the connection, or none will. Safe to repeat."""
        with self._lock:
            self._idle_since.pop(connection, None)

    def _end_idle(self) -> None:
        """End the connection that has been idle longest, if that is IDLE_SECONDS. What it has received is answered."""
        with self._lock:
            longest = next(iter(self._idle_since.items()), None)
            if longest is not None and time.monotonic() - longest[1] >= IDLE_SECONDS:
                del self._idle_since[longest[0]]
                with contextlib.suppress(OSError):
                    longest[0].shutdown(socket.SHUT_RD)


def content_type(name: str) -> str:
    """Return the media type for the name's suffix, with a charset for text."""
    kind = TYPES.get(Path(name).suffix.lower()) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    is_text = kind.startswith("text/") or kind in {"application/json", "image/svg+xml", "application/manifest+json"}
    return f"{kind}; charset=utf-8" if is_text else kind


def main() -> None:
    root = Path(sys.argv[1]).resolve()
    address = (os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"]))
    with Sites(address, root) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
