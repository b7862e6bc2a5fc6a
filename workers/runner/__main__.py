"""`python -m workers.runner`: the agent's command line: arguments, one instance per directory, signals, log format."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from common.errors import Misconfigured
from common.machine.locks import locked
from common.machine.processes.open_files import allow_many_files
from common.settings.agents import AgentSettings
from common.settings.environment import Environment, is_utf_8, web_address
from common.settings.private_files import PRIVATE_UMASK
from common.settings.sandbox import SandboxSettings
from common.settings.telemetry import read_log_level
from common.telemetry.error_reports import start_error_reports
from common.telemetry.light_logs import log_lines_of_json
from common.telemetry.tracing import start_tracing
from workers.runner.attempt.disk_watch import RUN_DISK_BYTES
from workers.runner.drivers.offer import DriverOffer, wanted_names
from workers.runner.loop import Runner, RunnerSettings
from workers.sandbox.limits import Bounds
from workers.sandbox.sandboxes import SandboxMode

logger = logging.getLogger("workers.runner")


def main(arguments: list[str] | None = None) -> int:
    """Serve until drained. Exit status 0: drained; 1: misconfigured, or two stop signals; 2: wrong arguments."""
    os.umask(PRIVATE_UMASK)
    try:
        settings = _settings(_parser().parse_args(arguments))
        with _only_one(settings.work_dir):
            _log_to_stderr()
            allow_many_files()
            start_tracing("agent")
            start_error_reports("agent")
            runner = Runner(settings)
            _stop_on_signals(runner)
            runner.serve()
    except Misconfigured as error:
        print(f"aiworker agent: {error}", file=sys.stderr)
        return 1
    return 1 if runner.is_killed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="aiworker agent", description="An agent of an AiWorker platform.")
    parser.add_argument("--url", required=True, help="the platform's address, such as http://127.0.0.1:3000")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--token-file", type=Path, help="file that holds an enrolment token")
    who.add_argument("--identity-file", type=Path, help="file with the identity of an agent that is enrolled already")
    parser.add_argument("--work-dir", required=True, type=Path, help="directory for clones and the agent's own token")
    parser.add_argument("--name", default=socket.gethostname(), help="pod name shown to people (the host's name)")
    parser.add_argument(
        "--driver",
        default="auto",
        help="the drivers that may work, comma-separated, the preferred one first (auto: all)",
    )
    parser.add_argument("--capabilities", default="", help="comma-separated")
    parser.add_argument("--slots", default=1, type=int, help="runs at the same time (1)")
    # For tests, which do not wait as long.
    parser.add_argument(
        "--heartbeat-seconds", default=RunnerSettings.heartbeat_seconds, type=float, help=argparse.SUPPRESS
    )
    parser.add_argument(
        "--ask-hold-seconds", default=RunnerSettings.ask_hold_seconds, type=float, help=argparse.SUPPRESS
    )
    return parser


def _settings(arguments: argparse.Namespace) -> RunnerSettings:
    if web_address(arguments.url) is None:
        raise Misconfigured(f"--url {arguments.url} is not an http or https address")
    if not 1 <= arguments.slots <= 100:
        raise Misconfigured(f"--slots {arguments.slots} is not a number from 1 to 100")
    if not is_utf_8(str(arguments.work_dir.absolute())):
        raise Misconfigured(f"--work-dir {str(arguments.work_dir)!r} is not text in UTF-8: name another folder")
    drivers = wanted_names(arguments.driver)
    DriverOffer(drivers)
    own, sandbox = AgentSettings.from_env(), SandboxSettings.with_stores_blocked()
    return RunnerSettings(
        url=arguments.url.rstrip("/"),
        token_path=arguments.token_file and arguments.token_file.absolute(),
        identity_path=arguments.identity_file and arguments.identity_file.absolute(),
        work_dir=arguments.work_dir.absolute(),
        pod_name=arguments.name,
        drivers=drivers,
        capabilities=tuple(filter(None, (name.strip() for name in arguments.capabilities.split(",")))),
        slots=arguments.slots,
        heartbeat_seconds=arguments.heartbeat_seconds,
        ask_hold_seconds=arguments.ask_hold_seconds,
        drain_seconds=own.drain_seconds,
        disk_reserve_bytes=own.disk_reserve_bytes,
        run_disk_bytes=own.run_disk_bytes or RUN_DISK_BYTES,
        sandbox=SandboxMode(sandbox.mode),
        egress_hosts=sandbox.egress_hosts,
        blocked=sandbox.blocked,
        bounds=Bounds(memory_bytes=sandbox.most_memory_bytes()),
    )


@contextlib.contextmanager
def _only_one(work_dir: Path) -> Iterator[None]:
    """Lock the work directory for this process: two agents in one directory would remove each other's clones."""
    with contextlib.ExitStack() as stack:
        try:
            work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            stack.enter_context(locked(work_dir / "lock", wait=False))
        except BlockingIOError as error:
            raise Misconfigured(f"another agent uses {work_dir}; give this one its own --work-dir") from error
        except OSError as error:
            raise Misconfigured(f"the work directory {work_dir} can't be written: {error.strerror}") from error
        yield


def _log_to_stderr() -> None:
    log_lines_of_json(read_log_level(Environment(os.environ)))
    # urllib3 logs request addresses at DEBUG; they must not be logged at any level.
    logging.getLogger("urllib3").setLevel(logging.WARNING)


def _stop_on_signals(runner: Runner) -> None:
    """Drain on the first SIGTERM or SIGINT, within drain_seconds; exit at once on the second.

    A thread does the work: code that the signal interrupted may hold the locks that stopping needs. It reads a byte for
    each signal, written when that comes. Python calls handlers in the main thread alone, and one that comes just before
    this waits for its lock would be called only after the wait.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def stop_and_kill() -> None:
        os.read(reading, 1)
        logger.info("told to stop; a second signal ends everything at once")
        runner.stop()
        os.read(reading, 1)
        runner.kill()
        os._exit(1)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(writing)
    threading.Thread(target=stop_and_kill, name="signals", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
