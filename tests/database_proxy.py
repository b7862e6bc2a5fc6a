"""A TCP proxy before a real MariaDB that loses what a network loses: COMMIT, or its answer, or everything for a while.

It reads the wire protocol only as far as to know a COMMIT. Use it as a context; it listens on loopback.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

_QUERY = 3
_HEADER_BYTES = 4


class DatabaseProxy:
    """`url` is the database's, through here."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        host = parts.netloc.rpartition(":")[0]
        self.url = urlunsplit(parts._replace(netloc=f"{host}:{self._listener.getsockname()[1]}"))
        self._runs = threading.Event()
        self._runs.set()
        self._sockets: list[socket.socket] = []
        self._loses: list[str] = []
        self.lost: list[str] = []
        """What was lost so far: `answer` or `request`."""
        self._is_cut = False
        self.refused = 0
        """Connections that were ended at once since `cut`."""

    def __enter__(self) -> DatabaseProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._runs.set()
        self._end([self._listener, *self._sockets])

    def lose(self, *what: str) -> None:
        """At each of the next COMMITs: `answer` (the server commits, and nobody hears of it) or `request`."""
        self._loses += what

    def freeze(self) -> None:
        """Take connections and bytes, and pass none of them on, like a host that hangs."""
        self._runs.clear()

    def thaw(self) -> None:
        self._runs.set()

    def cut(self) -> None:
        """End all connections, and each new one at once."""
        self._is_cut = True
        self._end(self._sockets)

    def mend(self) -> None:
        """Take connections again after `cut`."""
        self._is_cut = False

    @staticmethod
    def _end(sockets: list[socket.socket]) -> None:
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
                if self._is_cut:
                    client.close()
                    self.refused += 1
                    continue
                self._runs.wait()
                server = socket.create_connection(self._server)
            except OSError:
                return
            self._sockets += [client, server]
            is_cut = threading.Event()
            threading.Thread(target=self._ask, args=(client, server, is_cut), daemon=True).start()
            threading.Thread(target=self._answer, args=(client, server, is_cut), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, is_cut: threading.Event) -> None:
        with _ended(client, server):
            while packet := _read_packet(client):
                self._runs.wait()
                if self._loses and packet[_HEADER_BYTES] == _QUERY and packet[_HEADER_BYTES + 1 :].upper() == b"COMMIT":
                    self.lost.append(self._loses.pop(0))
                    if self.lost[-1] == "request":
                        return
                    is_cut.set()
                server.sendall(packet)

    def _answer(self, client: socket.socket, server: socket.socket, is_cut: threading.Event) -> None:
        with _ended(client, server):
            while (said := server.recv(65536)) and not is_cut.is_set():
                self._runs.wait()
                client.sendall(said)


@contextlib.contextmanager
def _ended(*sockets: socket.socket) -> Iterator[None]:
    """Both ends are closed when one of them is."""
    with contextlib.suppress(OSError):
        yield
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _read_packet(source: socket.socket) -> bytes:
    header = _read(source, _HEADER_BYTES)
    return header + _read(source, int.from_bytes(header[:3], "little")) if header else b""


def _read(source: socket.socket, count: int) -> bytes:
    read = b""
    while len(read) < count:
        more = source.recv(count - len(read))
        if not more:
            return b""
        read += more
    return read
