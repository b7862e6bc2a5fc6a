"""`python -m workers.supervisor --dir <directory> --socket <path>`: run the local runtime until SIGTERM or SIGINT.

One supervisor per directory: a second one prints an error and exits with 1. If a supervisor is killed, its children are
killed too (see `units` and `guard`), and the next supervisor first kills any that are left.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from common.errors import Misconfigured
from common.machine.locks import locked
from common.machine.processes.children import describe_exit
from common.machine.processes.open_files import allow_many_files
from common.network.port_ranges import APP_PORTS, PortRange
from common.settings.environment import Environment
from common.settings.private_files import PRIVATE_UMASK
from common.settings.sandbox import SandboxSettings
from common.settings.telemetry import read_log_level
from common.telemetry.error_reports import start_error_reports
from common.telemetry.light_logs import log_lines_of_json
from common.values.runs.confinement import Confinement
from workers.needs.caches import Caches
from workers.needs.databases import clear, root_of
from workers.sandbox.sandboxes import Sandboxes, SandboxMode
from workers.supervisor.apps import Apps
from workers.supervisor.checkout import Checkouts
from workers.supervisor.checks import Checks
from workers.supervisor.server import Server, Verbs
from workers.supervisor.shared_resources import SharedResources
from workers.supervisor.traffic.ports import Ports
from workers.supervisor.units.overload import Overload
from workers.supervisor.units.records import kill_recorded
from workers.supervisor.units.units import Processes

log = logging.getLogger("workers.supervisor")

GUARD_PAUSE_SECONDS = 1.0
"""Pause before another guard is started, if the last one ended immediately or could not be started."""


def main() -> int:
    os.umask(PRIVATE_UMASK)
    arguments = _arguments()
    directory: Path = arguments.dir.absolute()
    socket: Path = (arguments.socket or directory / "supervisor.sock").absolute()
    try:
        log_lines_of_json(read_log_level(Environment(os.environ)))
        start_error_reports("supervisor")
        sandbox = SandboxSettings.with_stores_blocked()
        allow_many_files()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(directory / "lock", wait=False):
            _make_private(socket.parent)
            asyncio.run(_serve(directory, socket, arguments, sandbox))
    except Misconfigured as error:
        print(error, file=sys.stderr)
        return 1
    except BlockingIOError:
        print(f"another supervisor already runs in {directory}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"the local runtime can't run in {directory}: {error}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m workers.supervisor", description="AiWorker's local runtime.")
    parser.add_argument("--dir", type=Path, required=True, help="directory for checkouts, logs and ports")
    parser.add_argument("--socket", type=Path, help="the Unix socket to listen on; by default supervisor.sock in --dir")
    parser.add_argument("--public-host", default="localhost", help="the host in the apps' addresses")
    parser.add_argument("--bind", default="127.0.0.1", help="the address that the apps' ports listen on")
    parser.add_argument("--ports", type=_ports, default=APP_PORTS, help=f"the apps' ports; by default {APP_PORTS}")
    parser.add_argument("--watch-seconds", type=float, default=2.0, help="seconds between checks of a live version")
    parser.add_argument("--disk-bytes", type=int, default=10 * 2**30, help="the most that one checkout may grow to")
    return parser.parse_args()


def _ports(text: str) -> PortRange:
    try:
        return PortRange.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _make_private(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.stat().st_uid != os.getuid():
        raise PermissionError(f"{directory} belongs to another user")


@contextlib.asynccontextmanager
async def _guarded(records: Path) -> AsyncIterator[None]:
    """Keep a guard process running inside the block. A guard that ends early is replaced."""
    guard = await _start_guard(records)
    stays = asyncio.create_task(_replace_guards(guard, records))
    try:
        yield
    finally:
        stays.cancel()
        await asyncio.wait({stays})


async def _replace_guards(guard: asyncio.subprocess.Process, records: Path) -> None:
    """Replace the guard whenever it ends. On cancellation, end the present guard and wait for it."""
    try:
        while True:
            began = time.monotonic()
            status = await guard.wait()
            log.warning("the guard %s; starting another one", describe_exit(status))
            if time.monotonic() - began < GUARD_PAUSE_SECONDS:
                await asyncio.sleep(GUARD_PAUSE_SECONDS)
            while (another := await _another_guard(records)) is None:
                await asyncio.sleep(GUARD_PAUSE_SECONDS)
            guard = another
    finally:
        assert guard.stdin is not None
        guard.stdin.close()
        await guard.wait()


async def _another_guard(records: Path) -> asyncio.subprocess.Process | None:
    try:
        return await _start_guard(records)
    except OSError as error:
        log.warning("no guard can be started now: %s", error)
        return None


async def _start_guard(records: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "workers.supervisor.units.orphan_guard",
        str(records),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )


def _confinement(sandboxes: Sandboxes) -> Confinement:
    """Whether and how programs are confined. Raises Misconfigured if they must be and can't."""
    if sandboxes.mode is SandboxMode.OFF:
        return Confinement(False, "commands are not confined: AIWORKER_SANDBOX=off")
    says = sandboxes.finding.says
    if sandboxes.mode is SandboxMode.REQUIRED and not sandboxes.is_confining:
        raise Misconfigured(f"AIWORKER_SANDBOX=required, so the local runtime does not start: {says}")
    return Confinement(sandboxes.is_confining, says)


async def _serve(directory: Path, socket: Path, arguments: argparse.Namespace, sandbox: SandboxSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    records = directory / "processes"
    sandboxes = Sandboxes(
        directory / "sandboxes", SandboxMode(sandbox.mode), admin_hosts=sandbox.egress_hosts,
        hidden=(directory, directory.parent, socket.parent),
    )  # fmt: skip
    confinement = _confinement(sandboxes)
    for left in sorted(records.glob("*/")):
        kill_recorded(left)
    clear(root_of(directory))
    sandboxes.clear()
    processes = Processes(records, sandboxes)
    async with _guarded(processes.directory):
        checkouts, caches = Checkouts(directory / "mirrors"), Caches(directory / "caches")
        shared = SharedResources(
            directory, Overload(), processes, checkouts, caches, Ports(arguments.ports), arguments.watch_seconds,
            arguments.disk_bytes, sandbox,
        )  # fmt: skip
        apps = Apps(directory / "apps", arguments.bind, shared)
        checks = Checks(directory / "checks", shared)
        await apps.restore()
        checks.restore()
        server = Server(Verbs(apps, checks, arguments.public_host, [checkouts.forget, caches.forget], confinement))
        await server.open(socket)
        log.info("the local runtime answers on %s", socket)
        await stop.wait()
        server.close()
        await asyncio.gather(apps.close(), checks.close())
        clear(root_of(directory))
        await asyncio.to_thread(sandboxes.close)
        socket.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
