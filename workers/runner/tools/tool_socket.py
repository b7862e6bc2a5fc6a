"""A run's Unix socket for the platform's tools. Its client is mcp_server.py, which a coding CLI starts.

One connection for each call: a JSON line `{"tool": name, "arguments": {…}}`, answered by a line `{"ok": bool, "text":
str}`. A client that closes its connection abandons the call. The agent may write anything to the socket.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import socket
import struct
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from common.machine.waiting import Deadline
from workers.runner.drivers.program import ToolServer

logger = logging.getLogger("workers.runner")

MOST_BYTES = 2**20
"""Longest line in either direction."""
MOST_CALLS = 16
"""Most calls at once; further ones are refused."""
LONGEST_TEXT = 60_000
"""Most characters of an answer; coding CLIs cut longer ones or refuse them."""
LONGEST_PATH = 100
"""Most bytes of the socket's path. Linux allows 107."""
_LINE_SECONDS = 10.0
"""How long a client may take to send its line, or to read the answer."""
_CLOSE_SECONDS = 2.0


@dataclass(frozen=True)
class Request:
    """One call of a tool. is_abandoned: says whether the client has given the call up meanwhile."""

    tool: str
    arguments: Mapping[str, object]
    is_abandoned: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Reply:
    """The result of a call. text: for the agent. ok: False if the call failed; the text then says why."""

    ok: bool
    text: str


class ToolHandler(Protocol):
    """Answers the calls of one run."""

    def answer(self, request: Request) -> Reply:
        """Answer one call. Called from several threads at once."""


class ToolSocket:
    """Serves `<directory>/tools.sock`, or a socket in a new private folder if that path is too long, until closed.

    uid: the only user whose processes are served, and the socket's owner; None: this process's. is_review: it has the
    tools of a review. A context manager.
    """

    def __init__(
        self, directory: Path, tool_handler: ToolHandler, *, uid: int | None = None, is_review: bool = False
    ) -> None:
        self._desk = tool_handler
        self._is_review = is_review
        self._uid = os.geteuid() if uid is None else uid
        self._own_folder: Path | None = None
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._is_closed = False
        self.path = self._free_path(directory)
        self._listener = self._listen()
        self._thread = threading.Thread(target=self._accept, name="run's tools", daemon=True)
        self._thread.start()

    @property
    def server(self) -> ToolServer:
        """How a coding CLI starts the tools of this run."""
        return tool_server(self.path, is_review=self._is_review)

    def _free_path(self, directory: Path) -> Path:
        path = directory.absolute() / "tools.sock"
        if len(os.fsencode(path)) > LONGEST_PATH:
            self._own_folder = Path(tempfile.mkdtemp(prefix="aiworker-tools-"))
            os.chown(self._own_folder, self._uid, -1)
            path = self._own_folder / "tools.sock"
        path.unlink(missing_ok=True)
        return path

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self.path))
            # No other user reaches it before this: the run's folder is private, and every peer is checked.
            self.path.chmod(0o600)
            os.chown(self.path, self._uid, -1)
            listener.listen(MOST_CALLS)
        except BaseException:
            listener.close()
            raise
        return listener

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take no more calls, abandon those under way, and remove the socket. Safe to repeat."""
        with self._lock:
            self._is_closed = True
            threads = [self._thread, *self._open.values()]
            for connection in [self._listener, *self._open]:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)  # close() alone wakes no thread that waits for the socket
        deadline = Deadline(_CLOSE_SECONDS)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(deadline.left_seconds)
        self._listener.close()
        self.path.unlink(missing_ok=True)
        if self._own_folder is not None:
            shutil.rmtree(self._own_folder, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                if self._is_closed:
                    return
                threading.Event().wait(0.1)  # no file descriptor is free at the moment
                continue
            with self._lock:
                if self._is_closed:
                    connection.close()
                    return
                is_full = len(self._open) >= MOST_CALLS
                if not is_full:
                    thread = threading.Thread(target=self._serve, args=(connection,), name="tool call", daemon=True)
                    self._open[connection] = thread
                    thread.start()
            if is_full:
                self._finish(connection, Reply(False, "Too many calls at once. Wait for their results."))

    def _serve(self, connection: socket.socket) -> None:
        try:
            reply = self._answer(connection)
        except Exception:
            logger.exception("tool call failed by a bug")
            reply = Reply(False, "The platform failed at this call. Go on without it.")
        self._finish(connection, reply)

    def _answer(self, connection: socket.socket) -> Reply | None:
        if not _is_process_of(connection, self._uid):
            logger.warning("tool call of another user refused")
            return None
        try:
            request = _request(_read_line(connection), lambda: self._is_closed or _is_gone(connection))
        except ValueError as error:
            return Reply(False, str(error))
        except OSError:
            return None
        return self._desk.answer(request)

    def _finish(self, connection: socket.socket, reply: Reply | None) -> None:
        """Send the reply, if there is one, and close the connection."""
        with contextlib.suppress(OSError):
            if reply is not None:
                connection.settimeout(_LINE_SECONDS)
                connection.sendall(_line_of(reply))
        with self._lock:
            self._open.pop(connection, None)
        connection.close()


def tool_server(socket_path: Path, *, is_review: bool = False) -> ToolServer:
    """The command with which a coding CLI starts the tools behind this socket, in any folder. It holds no secret.

    The socket is its last argument.
    """
    # By its file: `-I -m` would need the installed package, and `-I` also ignores PYTHONPATH and the present folder.
    shim = str(Path(__file__).with_name("mcp_server.py").absolute())
    return ToolServer(sys.executable, ("-I", shim, *(["review"] * is_review), str(socket_path)))


def _is_process_of(connection: socket.socket, uid: int) -> bool:
    size = struct.calcsize("3i")
    _pid, peer, _group = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return bool(peer == uid)


def _is_gone(connection: socket.socket) -> bool:
    """Whether the client has closed the connection. Returns at once."""
    try:
        connection.setblocking(False)  # with a timeout, recv() would wait for it, MSG_DONTWAIT or not
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _read_line(connection: socket.socket) -> bytes:
    """The first line. ValueError if it is too long, OSError if the connection ends or is idle before it."""
    received = bytearray()
    deadline = Deadline(_LINE_SECONDS)
    while b"\n" not in received:
        connection.settimeout(max(deadline.left_seconds, 0.01))
        part = connection.recv(65536)
        if not part or deadline.is_over:
            raise ConnectionError("no line was sent")
        received += part
        if len(received) > MOST_BYTES:
            raise ValueError(f"The call is longer than {MOST_BYTES} bytes. Shorten its arguments.")
    return bytes(received.partition(b"\n")[0])


def _request(line: bytes, is_abandoned: Callable[[], bool]) -> Request:
    """ValueError if the line is not a call."""
    try:
        call = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError("The call is not valid JSON.") from error
    tool = call.get("tool") if isinstance(call, dict) else None
    arguments = call.get("arguments") if isinstance(call, dict) else None
    if not isinstance(tool, str) or not isinstance(arguments, dict):
        raise ValueError('The call must be an object with "tool", a text, and "arguments", an object.')
    return Request(tool, arguments, is_abandoned)


def _line_of(reply: Reply) -> bytes:
    text = reply.text
    if len(text) > LONGEST_TEXT:
        text = text[:LONGEST_TEXT] + f"\n… cut, {len(text) - LONGEST_TEXT} characters more"
    return json.dumps({"ok": reply.ok, "text": text}).encode() + b"\n"
