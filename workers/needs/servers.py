"""What it takes to run one database server: how its directory is made, how it is started, and when it is ready.

Each server listens on one port of loopback only, has one user with a random password, and keeps its data in a directory
of its own, without syncing: the data survives the end of the server, but not that of the run that it belongs to.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from common.values.needs import ServiceKind
from common.values.service_variables import ServiceAddress

HOST = "127.0.0.1"
LAYOUT_SECONDS = 60
PROBE_SECONDS = 2.0


class ServiceFailed(Exception):
    """A server could not be prepared or does not start. The message is a sentence without secrets."""


@dataclass(frozen=True)
class Account:
    """The operating system's user that a server runs as. None: the user of this process."""

    name: str | None = None

    def own(self, path: Path) -> None:
        """Give the file or directory to the user."""
        if self.name is not None:
            entry = pwd.getpwnam(self.name)
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def popen(self, argv: Sequence[str | Path], *, cwd: Path, stdin: int, output: int) -> subprocess.Popen[bytes]:
        """Start a program as the user, with this process's environment. OSError if that fails."""
        entry = pwd.getpwnam(self.name) if self.name is not None else None
        return subprocess.Popen(
            argv, cwd=cwd, stdin=stdin, stdout=output, stderr=output, user=entry and entry.pw_uid,
            group=entry and entry.pw_gid, extra_groups=None if entry is None else [],
        )  # fmt: skip

    def run(self, argv: Sequence[str | Path], *, cwd: Path, log: Path, text: str = "") -> None:
        """Run a program to its end as the user, with `text` as its input. Raises ServiceFailed."""
        name = Path(argv[0]).name
        with log.open("ab") as output:
            try:
                process = self.popen(argv, cwd=cwd, stdin=subprocess.PIPE, output=output.fileno())
                process.communicate(text.encode(), timeout=LAYOUT_SECONDS)
            except subprocess.TimeoutExpired as error:
                process.kill()
                process.wait()
                raise ServiceFailed(f"{name} took longer than {LAYOUT_SECONDS} s") from error
            except OSError as error:
                raise ServiceFailed(f"{name} can't be started: {error.strerror}") from error
        if process.returncode:
            raise ServiceFailed(f"{name} exited with {process.returncode}: {log_end(log)}")


def account_for(names: Sequence[str], program: Path) -> Account:
    """The first of these users that exists, if this process is root and others may execute the program."""
    if os.geteuid() != 0 or not all(part.stat().st_mode & 0o001 for part in (program, *program.parents)):
        return Account()
    for name in names:
        with contextlib.suppress(KeyError):
            pwd.getpwnam(name)
            return Account(name)
    return Account()


class Server(Protocol):
    """One server in `directory`, which belongs to the account. No method is called before the one above it."""

    @property
    def kind(self) -> ServiceKind: ...

    @property
    def account(self) -> Account: ...

    @property
    def template(self) -> str | None:
        """The name under which a new data directory is kept for later servers; None: it has none."""

    def make_data(self, directory: Path, log: Path) -> None:
        """Make directory/data, without a password in it. Raises ServiceFailed."""

    def lay_out(self, directory: Path, password: str, log: Path, *, is_kept: bool) -> None:
        """Write what else the server needs before its first start. Raises ServiceFailed.

        is_kept: the server will be started again with its data if it ends.
        """

    def resume(self, directory: Path) -> None:
        """Prepare a further start with the data of a server that ended, also if it was killed. Raises OSError."""

    def command(self, directory: Path, port: int) -> Sequence[str | Path]:
        """Return the command that serves on this port of HOST."""

    def is_ready(self, directory: Path, address: ServiceAddress) -> bool:
        """Whether a client can work with the server now. Takes at most about PROBE_SECONDS."""


def template_name(kind: ServiceKind, program: Path) -> str:
    """A name that differs for another program, and for the same one after an update."""
    found = program.stat()
    return f"{kind}-{hashlib.sha256(f'{program} {found.st_mtime_ns} {found.st_size}'.encode()).hexdigest()[:12]}"


def write_private(path: Path, text: str, account: Account) -> None:
    """Write a file that only the account can read."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    account.own(path)


def exchange(address: ServiceAddress, message: bytes, *, least: int) -> bytes:
    """Send a message and return the reply, of at least this many bytes; empty if the server does not answer."""
    reply = b""
    try:
        with socket.create_connection((address.host, address.port), timeout=PROBE_SECONDS) as connection:
            connection.sendall(message)
            while len(reply) < least and (chunk := connection.recv(4096)):
                reply += chunk
    except OSError:
        return b""
    return reply


def log_end(log: Path) -> str:
    """Return the last lines of a server's log in one line."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return "it wrote no log"
    return " | ".join(line.strip() for line in lines[-4:] if line.strip())[-600:] or "it wrote no log"
