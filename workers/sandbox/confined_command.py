"""A command that is ready to be started, as its starter sees it."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Refusal:
    """A host or path that a confined command may not reach and asked for."""

    host: str
    port: int
    why: str


class Enclosed:
    """A command that is ready to be started: start `argv` with `environ`, `cwd` and `pass_fds`, then call `begin`.

    Always call `close` when its processes have ended, or if it could not be started. This one is not confined.

    A signal to its process group, or to each process of its tree, reaches the command. Of a confined one, the first
    process itself takes no notice of any but SIGKILL, which ends the whole tree; so does the end of the thread that
    started it. Its exit status is the command's, with 128 + n after signal n (see `exit_status`), 126 or 127 if the
    command can't be started, and 125 if the sandbox can't be made; standard error says which.
    """

    def __init__(self, argv: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> None:
        self.argv = tuple(argv)
        self.cwd = cwd
        self.environ = dict(environ)
        self.pass_fds: tuple[int, ...] = ()
        self.is_confined = False

    def begin(self, pid: int) -> None:
        """The command was started as this process. Returns at once; its forwarded ports open beside it."""

    def dial(self, port: int) -> socket.socket:
        """A socket that is not connected yet, in the network of the command: connect it to 127.0.0.1:port.

        Raises OSError if the command does not run yet or any more.
        """
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def exit_status(self, returncode: int) -> int:
        """The status as subprocess gives it of an unconfined command: negative for a signal. A shell that is confined
        and reports a signal of its own child is seen as ended by it, too."""
        return returncode

    @property
    def broken_bound(self) -> str | None:
        """Which of its bounds was broken: `memory` or `processes`; None: none, or not known. Ask before `close`."""
        return None

    @property
    def failure(self) -> str | None:
        """Why its forwarded ports could not be opened, so that it did not start; None.

        They could, or it is too early to say.
        """
        return None

    def close(self) -> None:
        """Remove all that was made for it. Its processes have ended. Safe to repeat."""
