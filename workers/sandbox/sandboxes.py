"""Encloses commands. One Sandboxes for each runner or supervisor process."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from workers.sandbox.walls import Walls


class SandboxMode(StrEnum):
    """AIWORKER_SANDBOX."""

    AUTO = "auto"
    """Confine where bubblewrap works, else run commands unconfined and say so."""
    REQUIRED = "required"
    """Start nothing where bubblewrap does not work."""
    OFF = "off"
    """Run commands unconfined: for a machine, such as a pod, that is the sandbox itself."""


@dataclass(frozen=True)
class Refusal:
    """A host or path that a confined command may not reach and asked for."""

    host: str
    port: int
    why: str


class Enclosed:
    """A command that is ready to be started: start `argv` with `environ`, `cwd` and `pass_fds`, then call `begin`.

    Always call `close` when its processes have ended, or if it could not be started.
    """

    def __init__(self, argv: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> None:
        self.argv = tuple(argv)
        self.cwd = cwd
        self.environ = dict(environ)
        self.pass_fds: tuple[int, ...] = ()
        self.is_confined = False

    def begin(self, pid: int) -> None:
        """The command was started as this process. Returns at once; its doors open beside it."""

    def dial(self, port: int) -> socket.socket:
        """A socket that is not connected yet, in the network of the command: connect it to 127.0.0.1:port."""
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def close(self) -> None:
        """Remove all that was made for it. Its processes have ended. Safe to repeat."""


class Sandboxes:
    """directory: a private folder for what sandboxes need while they live; cleared by `clear`."""

    def __init__(self, directory: Path, mode: SandboxMode = SandboxMode.AUTO) -> None:
        self.directory = directory
        self.mode = mode

    @property
    def is_confining(self) -> bool:
        """Whether commands are confined on this machine."""
        return False

    def enclose(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        environ: Mapping[str, str],
        walls: Walls,
        on_refusal: Callable[[Refusal], None] | None = None,
        needs_dial: bool = False,
    ) -> Enclosed:
        """Prepare a command. on_refusal: called from another thread for each host that it may not reach.

        needs_dial: `dial` will be used. Raises OSError if what it needs can't be made.
        """
        return Enclosed(argv, cwd, environ)

    def clear(self) -> None:
        """Remove what the sandboxes of a killed process left. Call it once, before anything is enclosed."""
