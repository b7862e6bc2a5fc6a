"""`python -m workers.needs.host --place DIR --templates DIR --report FILE KIND[:VERSION] …`: databases of one run.

Starts the servers in a new directory, writes their addresses to the report, and serves until SIGTERM or SIGINT, until
the report is removed, or until a server ends. Then it ends the servers and removes the directory. The report is a JSON
object: `{"addresses": {kind: {host, port, password}}}`, or `{"code": …, "reason": …}` if the servers do not start.

With `--keep` it leaves the directory. Started again with that, the servers have their data, their passwords and, if
they are free, their ports.

`--only-templates` makes the data directories that later hosts copy, and starts no server. A client of a server may be
hostile and can do all that the server can, so a confined host that serves sees these directories read-only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from common.machine.files import replace_file
from common.machine.processes.children import describe_exit, tied_to_parent
from common.machine.waiting import Deadline
from common.values.json_codec import decode, encode
from common.values.needs import ServiceKind
from common.values.service_variables import ServiceAddress
from workers.needs.installed import ServiceMissing
from workers.needs.keyvalue import Redis
from workers.needs.mariadb import MariaDB
from workers.needs.postgresql import PostgreSQL
from workers.needs.servers import HOST, Server, ServiceFailed, log_end

FIRST_PORT, LAST_PORT = 30000, 32767
"""Below the kernel's ephemeral range, and apart from the ports that the supervisor gives to apps."""
PORT_TRIES = 4
START_SECONDS = 30
END_SECONDS = 3.0
POLL_SECONDS = 0.02
WATCH_SECONDS = 0.5
MISSING, FAILED = "service_missing", "service_failed"
"""Codes of the report."""
KEPT_ADDRESSES = "addresses.json"
KINDS: dict[ServiceKind, Callable[[str | None], Server]] = {
    ServiceKind.POSTGRESQL: PostgreSQL,
    ServiceKind.MARIADB: MariaDB,
    ServiceKind.REDIS: Redis,
}


@dataclass
class _Running:
    server: Server
    directory: Path
    log: Path
    password: str = field(default_factory=lambda: secrets.token_hex(16))
    port: int = 0
    tries: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> ServiceAddress:
        return ServiceAddress(HOST, self.port, self.password)

    def lay_out(self, templates: Path, *, is_kept: bool) -> None:
        """Make the server's directory. A new data directory takes seconds, so the first one is kept and copied."""
        self._make(self.directory)
        kept = self.keep_template(templates)
        if kept is None:
            self.server.make_data(self.directory, self.log)
        else:
            _copy(kept / "data", self.directory)
        self.server.lay_out(self.directory, self.password, self.log, is_kept=is_kept)

    def resume(self, address: ServiceAddress) -> None:
        """Prepare the next start of a server that ended. address: its last one."""
        self.port, self.password = address.port, address.password
        self.server.resume(self.directory)

    def keep_template(self, templates: Path) -> Path | None:
        """Make the server's template if it is missing. None: it has none, or it can't be made in this directory."""
        if self.server.template is None:
            return None
        kept = templates / self.server.template
        if not kept.is_dir() and _is_writable(templates):
            self._make_template(kept)
        return kept if kept.is_dir() else None

    def _make_template(self, kept: Path) -> None:
        new = kept.with_name(f".{kept.name}.{secrets.token_hex(4)}")
        self._make(new)
        try:
            self.server.make_data(new, self.log)
            # Another host may have made it meanwhile: then the rename fails, and its template is used.
            with contextlib.suppress(OSError):
                new.rename(kept)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _make(self, directory: Path) -> None:
        directory.mkdir(mode=0o700)
        self.server.account.own(directory)

    def start(self) -> None:
        """Start the server on a free port: a resumed one on its last port, if that is free, and at a further try on
        another one. Call it in the main thread: the kernel ends the server with its thread.
        """
        is_resumed = not self.tries and self.port and _is_free(self.port)
        self.port, self.tries = self.port if is_resumed else _free_port(), self.tries + 1
        argv = [*tied_to_parent(), *self.server.command(self.directory, self.port)]
        with self.log.open("ab") as output:
            try:
                self.process = self.server.account.popen(
                    argv, cwd=self.directory, stdin=subprocess.DEVNULL, output=output.fileno()
                )
            except OSError as error:
                raise ServiceFailed(f"{self.server.kind} can't be started: {error.strerror}") from error

    def is_ready(self) -> bool:
        """Whether it serves. A server that ended, maybe as its port was taken, is started again, up to PORT_TRIES."""
        assert self.process is not None
        status = self.process.poll()
        if status is None:
            return self.server.is_ready(self.directory, self.address)
        if self.tries >= PORT_TRIES:
            raise ServiceFailed(f"{self.server.kind} {describe_exit(status)} at its start: {log_end(self.log)}")
        self.start()
        return False

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            # PostgreSQL ends at once with all of its processes; a kill would leave those that are busy.
            is_postgresql = self.server.kind is ServiceKind.POSTGRESQL
            self.process.send_signal(signal.SIGQUIT if is_postgresql else signal.SIGKILL)


def main() -> int:
    os.umask(0o077)
    parser = argparse.ArgumentParser(prog="python -m workers.needs.host")
    parser.add_argument("--place", type=Path, required=True)
    parser.add_argument("--templates", type=Path, required=True, help="directory for new data directories")
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--only-templates", action="store_true", help="make data directories for later, and end")
    parser.add_argument("--keep", action="store_true", help="leave the data at the end; go on with what is there")
    parser.add_argument("services", nargs="+", metavar="KIND[:VERSION]")
    asked = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    running: list[_Running] = []
    try:
        running += _made(asked.place, asked.services)
        if asked.only_templates:
            _keep_templates(running, asked.templates)
            return 0
        if asked.keep and (kept := _kept_addresses(asked.place)):
            for one in running:
                one.resume(kept[one.server.kind])
        else:
            _lay_out(running, asked.templates, is_kept=asked.keep)
        _start_all(running, stop)
        addresses = {one.server.kind.value: encode(one.address) for one in running}
        if asked.keep:
            _write(asked.place / KEPT_ADDRESSES, addresses)
        _write(asked.report, {"addresses": addresses})
        return _watch(running, asked.report, stop)
    except ServiceMissing as error:
        return _report_failure(asked.report, MISSING, str(error))
    except ServiceFailed as error:
        return _report_failure(asked.report, FAILED, str(error))
    except OSError as error:
        return _report_failure(asked.report, FAILED, f"the services can't be prepared: {error}")
    finally:
        _end_all(running)
        if not asked.keep:
            shutil.rmtree(asked.place, ignore_errors=True)


def _made(place: Path, services: Sequence[str]) -> list[_Running]:
    made = []
    for text in services:
        kind, _, version = text.partition(":")
        server = KINDS[ServiceKind(kind)](version or None)
        made.append(_Running(server, place / kind, place / f"{kind}.log"))
    # Others may pass through the place, but not list it: the servers may run as other users.
    # In a sandbox it is there.
    place.mkdir(mode=0o700, exist_ok=True)
    place.chmod(0o711)
    return made


def _keep_templates(running: Sequence[_Running], templates: Path) -> None:
    with ThreadPoolExecutor(len(running)) as pool:
        list(pool.map(lambda one: one.keep_template(templates), running))


def _is_writable(directory: Path) -> bool:
    """Whether files can be made in it; not where a sandbox shows it read-only."""
    return os.access(directory, os.W_OK)


def _kept_addresses(place: Path) -> dict[ServiceKind, ServiceAddress]:
    """Of the servers whose data is in this directory; empty if they never served."""
    try:
        kept = json.loads((place / KEPT_ADDRESSES).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {ServiceKind(kind): address for kind, address in decode(dict[str, ServiceAddress], kept).items()}


def _lay_out(running: Sequence[_Running], templates: Path, *, is_kept: bool) -> None:
    templates.mkdir(mode=0o700, exist_ok=True)
    if _is_writable(templates):
        templates.chmod(0o711)
    with ThreadPoolExecutor(len(running)) as pool:
        list(pool.map(lambda one: one.lay_out(templates, is_kept=is_kept), running))


def _copy(source: Path, into: Path) -> None:
    """Copy a directory with its owners; on file systems that can share blocks, nothing is written."""
    try:
        subprocess.run(["cp", "-a", "--reflink=auto", source, into], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ServiceFailed(f"{source} can't be copied: {error}") from error


def _start_all(running: Sequence[_Running], stop: threading.Event) -> None:
    for one in running:
        one.start()
    deadline, waiting = Deadline(START_SECONDS), list(running)
    while waiting := [one for one in waiting if not one.is_ready()]:
        if stop.is_set() or deadline.is_over:
            raise ServiceFailed(f"{waiting[0].server.kind} was not ready within {START_SECONDS} s")
        time.sleep(POLL_SECONDS)


def _watch(running: Sequence[_Running], report: Path, stop: threading.Event) -> int:
    while not stop.wait(WATCH_SECONDS) and report.exists():
        for one in running:
            if one.process is not None and (status := one.process.poll()) is not None:
                print(f"{one.server.kind} {describe_exit(status)}: {log_end(one.log)}", file=sys.stderr)
                return 1
    return 0


def _end_all(running: Sequence[_Running]) -> None:
    for one in running:
        one.end()
    deadline = Deadline(END_SECONDS)
    for one in running:
        if one.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.process.wait(deadline.left_seconds)
            one.process.kill()
            one.process.wait()


def _report_failure(report: Path, code: str, reason: str) -> int:
    print(reason, file=sys.stderr)
    _write(report, {"code": code, "reason": reason})
    return 1


def _write(report: Path, content: object) -> None:
    replace_file(report, json.dumps(content).encode(), is_synced=False)


def _free_port() -> int:
    for port in random.SystemRandom().sample(range(FIRST_PORT, LAST_PORT + 1), 200):
        if _is_free(port):
            return port
    raise ServiceFailed(f"no port from {FIRST_PORT} to {LAST_PORT} is free")


def _is_free(port: int) -> bool:
    with socket.socket() as attempt, contextlib.suppress(OSError):
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        attempt.bind((HOST, port))
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
