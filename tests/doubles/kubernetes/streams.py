"""Commands in pods: over WebSockets, as kubectl asks for it.

The protocol is v5.channel.k8s.io (staging/src/k8s.io/apimachinery/pkg/util/remotecommand/constants.go): the first byte
of each message is its channel, and the last message is a Status on the channel of errors.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Protocol

import simple_websocket

from tests.doubles.kubernetes.store import Object

PROTOCOL = "v5.channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
CHUNK_BYTES = 32_768
LOOK_SECONDS = 0.02


@dataclass
class Running:
    """A command in a pod, with this side's descriptors; those of what it says by their channel."""

    process: subprocess.Popen[bytes]
    stdin: int
    outputs: Mapping[int, int]
    has_input: bool = True

    def end_input(self) -> None:
        """The command reads no more after this. A terminal stays open: both ways are one descriptor."""
        if self.has_input and self.stdin not in self.outputs.values():
            self.has_input = False
            os.close(self.stdin)

    def close(self) -> None:
        self.end_input()
        for descriptor in self.outputs.values():
            os.close(descriptor)


class Shell(Protocol):
    def start(self, pod: Object, container: str, command: Sequence[str], *, is_tty: bool) -> Running:
        """Start the command as if in that container. is_tty: with a terminal of its own."""


def started(command: Sequence[str], *, env: Mapping[str, str], where: Path, is_tty: bool) -> Running:
    """The command as a process with this environment, in a process group of its own."""
    if is_tty:
        ours, theirs = os.openpty()
        # The terminal must be the process's own: passwords are read from /dev/tty.
        words = ["setsid", "--ctty", "--wait", "--", *command]
        process = subprocess.Popen(words, env=env, cwd=where, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        return Running(process, ours, {STDOUT: ours})
    (theirs_in, stdin), (stdout, theirs_out), (stderr, theirs_err) = os.pipe(), os.pipe(), os.pipe()
    process = subprocess.Popen(
        command, env=env, cwd=where, stdin=theirs_in, stdout=theirs_out, stderr=theirs_err, start_new_session=True
    )
    for one in (theirs_in, theirs_out, theirs_err):
        os.close(one)
    return Running(process, stdin, {STDOUT: stdout, STDERR: stderr})


class _Stream:
    """A client's WebSocket. Messages of several threads go out one after the other."""

    def __init__(self, headers: Message, connection: socket.socket) -> None:
        environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        environ |= {"REQUEST_METHOD": "GET", "SERVER_NAME": "double"}
        self._lock = threading.Lock()
        # The server closes its own socket when the handler returns; this one is the stream's.
        environ["werkzeug.socket"] = connection.dup()
        self._socket = simple_websocket.Server(environ, subprotocols=[PROTOCOL])

    def send(self, channel: int, content: bytes) -> None:
        with self._lock, contextlib.suppress(simple_websocket.ConnectionClosed, OSError):
            self._socket.send(bytes([channel]) + content)

    def receive(self) -> bytes | None:
        """The next message, channel first; None once the client has hung up."""
        try:
            message = self._socket.receive()
        except simple_websocket.ConnectionClosed:
            return None
        return message.encode() if isinstance(message, str) else message

    def end(self, code: int | None) -> None:
        """Say how the command ended, None if it was not this stream's, and close."""
        self.send(ERROR, json.dumps(_status(code)).encode())
        with contextlib.suppress(simple_websocket.ConnectionClosed, OSError):
            self._socket.close()


def _status(code: int | None) -> Object:
    if not code:
        return {"metadata": {}, "status": "Success"}
    causes = [{"reason": "ExitCode", "message": str(code)}]
    said = f"command terminated with non-zero exit code: exit status {code}"
    return {
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "message": said, "details": {"causes": causes}
    }  # fmt: skip


def hand_through(headers: Message, connection: socket.socket, running: Running, is_over: threading.Event) -> None:
    """Pass what the client types to the command and what the command says to the client, until the command has ended.

    A client that hangs up ends the command.
    """
    stream = _Stream(headers, connection)
    typing = threading.Thread(target=_feed, args=(stream, running), daemon=True)
    reading = [
        threading.Thread(target=_tell, args=(stream, channel, descriptor), daemon=True)
        for channel, descriptor in running.outputs.items()
    ]
    for thread in (typing, *reading):
        thread.start()
    while running.process.poll() is None:
        if is_over.wait(LOOK_SECONDS):
            _kill(running.process)
    for thread in reading:
        thread.join()
    code = running.process.returncode
    stream.end(code if code >= 0 else 128 - code)
    typing.join()
    running.close()


def _feed(stream: _Stream, running: Running) -> None:
    while (message := stream.receive()) is not None:
        if message[0] == STDIN and running.has_input:
            with contextlib.suppress(OSError):
                os.write(running.stdin, message[1:])
        elif message[:2] == bytes([CLOSE, STDIN]):
            running.end_input()
    if running.process.poll() is None:
        _kill(running.process)


def _tell(stream: _Stream, channel: int, descriptor: int) -> None:
    # A terminal whose last program has ended is an error to read.
    with contextlib.suppress(OSError):
        while content := os.read(descriptor, CHUNK_BYTES):
            stream.send(channel, content)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
