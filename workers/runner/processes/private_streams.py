"""Sockets for the standard input and output of a process, in place of pipes.

Every process of the same user may open the pipes of another one by /proc/<pid>/fd, and write to them. A socket can't be
opened so.
"""

from __future__ import annotations

import os
import socket
import subprocess
from types import TracebackType
from typing import IO, Self


class PrivateStreams:
    """What subprocess.Popen takes as `stdin` and `stdout`. A context manager: at its end the child's ends are closed in
    this process, and ours too unless `give` was called.

    has_input: else the standard input is empty.
    """

    def __init__(self, *, has_input: bool) -> None:
        self._ours: list[IO[bytes]] = []
        self._theirs: list[socket.socket] = []
        self.stdout = self._open("rb")
        self.stdin = self._open("wb") if has_input else subprocess.DEVNULL

    def give(self, child: subprocess.Popen[bytes]) -> None:
        """Make our ends the child's `stdin` and `stdout`, whose owner closes them."""
        child.stdout, child.stdin = [*self._ours, None][:2]
        self._ours.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in self._ours:
            stream.close()
        for end in self._theirs:
            end.close()

    def _open(self, mode: str) -> int:
        """Open a pair of which ours is for reading (`rb`) or writing (`wb`) alone; returns the child's descriptor."""
        ours, theirs = socket.socketpair()
        ours.shutdown(socket.SHUT_WR if mode == "rb" else socket.SHUT_RD)
        self._ours.append(os.fdopen(ours.detach(), mode, buffering=0))
        self._theirs.append(theirs)
        return theirs.fileno()
