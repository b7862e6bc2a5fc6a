"""The answer to a WebSocket handshake: what flask-sock calls in place of `simple_websocket.Server`.

That class parses the handshake once more, keeps two protocol machines for each socket, and expects the request's thread
to stay. This one answers and keeps the file descriptor: the request ends, and with it everything that belonged to it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SEND_BUFFER_BYTES = 256 * 1024


class Upgrade:
    """A handshake that is answered.

    RuntimeError under a server that does not pass its socket on: only gunicorn does so.
    """

    mode = "gunicorn"
    """Tells flask-sock how to end the request: gunicorn closes its own descriptor of the socket, and sends nothing."""

    def __init__(self, environ: WSGIEnvironment, **_options: object) -> None:
        sock: socket.socket | None = environ.get("gunicorn.socket")
        if sock is None:
            raise RuntimeError("WebSockets need gunicorn")
        key = environ["HTTP_SEC_WEBSOCKET_KEY"].strip().encode()
        accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        with contextlib.suppress(OSError):
            # The kernel's default buffer holds some megabytes for a client that does not read.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        # No permessage-deflate, whatever the client offers: it costs 130 KB a socket and fifteen times the work of a
        # plain frame.
        descriptor = sock.fileno()
        # The kernel accepts this whole: nothing of an earlier reply waits to be sent, as clients wait for each.
        os.write(
            descriptor,
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %s\r\n\r\n" % accept,
        )
        self._descriptor = descriptor

    def detach(self) -> int:
        """A descriptor of the socket that outlives the request."""
        return os.dup(self._descriptor)

    def close(self) -> None:
        """Called by flask-sock when the view returns. The socket stays open."""
