"""`aiworker up`: the whole platform on one machine, in the foreground.

Owns the order: checks, store, migrations, first admin, processes, addresses, stop. A later start continues with the
same data. Several platforms can run side by side, each with a port and a data directory of its own. After kill -9
nothing that was committed is lost.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import select
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from common import settings as common_settings
from common.errors import Misconfigured
from common.machine.files import replace_file
from common.machine.git.leftover_locks import forget_locks
from common.machine.locks import STARTING, locked
from common.machine.waiting import Deadline
from common.settings import Settings, socket_path
from common.settings.private_files import require_restored
from web.launcher import prerequisites
from web.launcher.children import Processes
from web.launcher.confinement import ensure_sandbox
from web.launcher.database_process import Prepared, prepare
from web.launcher.driver_install import drivers_folder, install_driver, wanted_by_providers
from web.launcher.programs import (
    FLOWER_USER,
    Catalogue,
    enrolment_token_path,
    environment_of,
    local_agent_settings,
    whole_paths,
)

STORE_SECONDS = 15.0
SUPERVISOR_SECONDS = 5.0
LIVE_SECONDS = 90.0
LONGEST_STOP_SECONDS = 8.0
"""A little more than gunicorn's graceful timeout. Interrupted jobs are repeated, so killing them is safe."""
STOP_SECONDS = 5.0
AGENT_STOP_SECONDS = 80.0
"""How much longer than AIWORKER_DRAIN_SECONDS agents may take to end by themselves. In that time they push the
unfinished work of their runs."""


class _Stopped(Exception):
    """A signal asked the platform to stop while it was starting."""


class _NotStarted(Exception):
    """A program did not start. The message names it and its log."""


class _Signals:
    """Ctrl-C, TERM and HUP: the first signal asks for an orderly stop, the second kills all programs at once."""

    def __init__(self) -> None:
        self.asked = False
        self.processes: Processes | None = None
        # A HUP that nohup has the process ignore stays ignored. An ignored INT does not: shells ignore it for jobs in
        # the background, which are stopped with it all the same.
        taken = [one for one in _STOP_SIGNALS if one != signal.SIGHUP or signal.getsignal(one) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._take) for number in taken}

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            return
        if self.processes:
            self.processes.kill_all()
        os._exit(130)

    def restore(self) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)


_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class UpOptions:
    """agents: how many local agents to start; 0 for none. slots: how many runs each of them does at the same time.

    has_flower: whether Celery's own monitor runs too. installs_drivers: whether the program of a model provider that
    the environment names is installed if it is missing. installs_sandbox: whether bubblewrap and slirp4netns are.
    page_sources: whether browsers get the page's sources as they are.
    """

    agents: int = 1
    slots: int = 1
    has_flower: bool = False
    installs_drivers: bool = True
    installs_sandbox: bool = True
    page_sources: bool = False


def run_up(settings: Settings, options: UpOptions) -> int:
    """Run the platform until it is asked to stop. Call it from the main thread.

    Returns the exit code: 0 after an orderly stop, 1 when the platform could not be started. Raises Misconfigured,
    before anything was started, for what the machine lacks.
    """
    prerequisites.check_programs()
    drain_seconds = local_agent_settings().drain_seconds if options.agents else 0.0
    confinement = _confinement(settings, options)
    with prerequisites.own_directory(settings.store.data_dir):
        require_restored(settings.store.data_dir)
        prerequisites.check_port(settings.web.host, settings.web.port)
        prerequisites.check_apps_address(settings.runtime)
        os.environ.update(whole_paths(os.environ) | environment_of(settings))
        common_settings.settings.cache_clear()
        signals = _Signals()
        processes = Processes(settings.store.data_dir / "logs", _say)
        signals.processes = processes
        try:
            _start(settings, processes, signals, options, confinement)
            while not signals.asked:
                processes.step()
            return 0
        except _Stopped:
            return 0
        except _NotStarted as reason:
            _say(str(reason))
            return 1
        finally:
            _say("Stopping …")
            _stop(processes, options.agents, drain_seconds)
            processes.close()
            signals.restore()
            _say("Stopped.")


def _confinement(settings: Settings, options: UpOptions) -> list[str]:
    """What people should know of the sandbox, a line each; empty where nothing of a repository runs on this machine."""
    if settings.runtime.kind != "local" and not options.agents:
        return []
    return ensure_sandbox(settings.sandbox, installs=options.installs_sandbox, say=_say)


def _start(
    settings: Settings, processes: Processes, signals: _Signals, options: UpOptions, confinement: Sequence[str]
) -> None:
    data_dir = settings.store.data_dir
    for name in ("redis", "supervisor"):
        prerequisites.prepare_socket_directory(socket_path(data_dir, name), data_dir)
    # Earlier versions stored counters there.
    shutil.rmtree(data_dir / "metrics", ignore_errors=True)
    # No program runs yet: the remaining lock files are from killed pushes and merges.
    for repository in settings.forge.repositories_dir.glob("*/*.git"):
        forget_locks(repository)
    password = _stored_password(data_dir / "flower-password")
    catalogue = Catalogue(settings, prerequisites.free_port("127.0.0.1"), password, options.page_sources)

    _say("Starting the web server and the workers …")
    # While this is locked, the web server loads its modules and answers nothing: see web/gunicorn.conf.py.
    with locked(data_dir / STARTING):
        processes.start(catalogue.web())
        if settings.store.redis_embedded:
            processes.start(catalogue.store())
            redis = socket_path(data_dir, "redis")
            _wait(processes, signals, "valkey", lambda: _answers_at(redis), STORE_SECONDS)
        prepared = _prepare(data_dir, has_agents=options.agents > 0)
        # From here on, a core is free beside the one on which the web server loads its modules.
        if settings.runtime.kind == "local":
            processes.start(catalogue.supervisor())
            # Before the first answer: that the platform is there, and not healthy yet, would be told as a fault.
            _await_supervisor(processes, socket_path(data_dir, "supervisor"))
    with _password_is_told(prepared.admin_password):
        if signals.asked:
            raise _Stopped
        _wait(processes, signals, "web", lambda: _is_live(_local_address(settings)), LIVE_SECONDS)
        # The other programs start later: on two cores, the web server is ready sooner that way.
        processes.start(catalogue.worker(), catalogue.worker_slow())
        if options.agents and options.installs_drivers:
            _install_drivers(settings, processes, signals)
    for number in range(1, options.agents + 1):
        processes.start(catalogue.agent(number, slots=options.slots))
    if options.has_flower:
        processes.start(catalogue.flower())
    _say_addresses(settings, catalogue if options.has_flower else None, prepared.admin_password, confinement)


@contextmanager
def _password_is_told(admin_password: str | None) -> Iterator[None]:
    """Print the first administrator's password if the start ends early: the next start can't print it."""
    try:
        yield
    except (_Stopped, _NotStarted):
        if admin_password:
            _say_password(admin_password)
        raise


def _await_supervisor(processes: Processes, path: Path) -> None:
    """Wait for it, but not long: without it, everything but deployments works, and /api/health says so."""
    deadline = Deadline(SUPERVISOR_SECONDS)
    while not (_accepts(path) or deadline.is_over or processes.has_failed_to_start("supervisor")):
        processes.step(0.02)


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def _prepare(data_dir: Path, *, has_agents: bool) -> Prepared:
    """Make the database ready, and keep the token with which local agents enrol."""
    prepared = prepare(has_agents=has_agents, say=_say)
    if prepared.enrolment_token is not None:
        token_path = enrolment_token_path(data_dir)
        token_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(token_path, f"{prepared.enrolment_token}\n".encode())
    return prepared


def _install_drivers(settings: Settings, processes: Processes, signals: _Signals) -> None:
    """Install the programs of the model providers that the environment names. A failure is told, and that is all."""

    def pause() -> None:
        if signals.asked:
            raise _Stopped
        processes.step(0.2)

    folder = drivers_folder(settings.store.data_dir)
    for name in wanted_by_providers(settings.models.providers, folder):
        try:
            install_driver(name, folder, say=_say, pause=pause)
        except Misconfigured as error:
            _say(f"{error}. The platform starts without it; later: aiworker drivers install {name}")


def _stop(processes: Processes, agents: int, drain_seconds: float) -> None:
    """Stop the agents first, so that they can report; then web and workers; last the programs that these use."""
    names = [f"agent-{number}" for number in range(1, agents + 1)]
    processes.stop(names, patience_seconds=drain_seconds + AGENT_STOP_SECONDS)
    processes.stop(["web", "worker", "worker-slow", "flower"], patience_seconds=LONGEST_STOP_SECONDS)
    for name in ("supervisor", "valkey"):
        processes.stop([name], patience_seconds=STOP_SECONDS)


def _wait(
    processes: Processes, signals: _Signals, name: str, is_up: Callable[[], bool], patience_seconds: float
) -> None:
    deadline = Deadline(patience_seconds)
    while not is_up():
        if signals.asked:
            raise _Stopped
        if processes.has_failed_to_start(name):
            raise _NotStarted(f"{name} does not start; the reason is above")
        if deadline.is_over:
            end = "\n".join(f"    {line}" for line in processes.tail(name))
            raise _NotStarted(f"{name} does not answer after {patience_seconds:.0f} s. The end of its log:\n{end}")
        processes.step(0.1)


def _answers_at(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            return probe.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _is_live(address: tuple[str, int]) -> bool:
    # By hand: loading urllib or http.client would take a tenth of the time until the web server is started.
    try:
        with socket.create_connection(address, timeout=2) as probe:
            probe.sendall(b"GET /api/health/live HTTP/1.0\r\nHost: localhost\r\n\r\n")
            return b" 200 " in probe.makefile("rb").readline(100)
    except OSError:
        return False


def _local_address(settings: Settings) -> tuple[str, int]:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(settings.web.host, settings.web.host)  # noqa: S104
    return host, settings.web.port


def _is_internal_url_live(settings: Settings) -> bool:
    """Whether agents on this machine reach the web server. True for https, whose proxy may start later."""
    parts = urlsplit(settings.web.internal_url)
    return parts.scheme != "http" or _is_live((parts.hostname or "", parts.port or 80))


def _stored_password(path: Path) -> str:
    """The password in a file that only this user may read. A new one is made if the file is missing or empty."""
    kept = path.read_text(encoding="utf-8").strip() if path.exists() else ""
    if not kept:
        kept = secrets.token_urlsafe(18)
        replace_file(path, f"{kept}\n".encode())
    return kept


def _say_addresses(
    settings: Settings, flower: Catalogue | None, admin_password: str | None, confinement: Sequence[str]
) -> None:
    url = settings.web.public_url
    _say("")
    _say("AiWorker is up.")
    _say(f"  Page     {url}/")
    _say(f"  API      {url}/api, described at {url}/api/docs")
    if flower is not None:
        _say(f"  Flower   http://127.0.0.1:{flower.flower_port}/  ({FLOWER_USER} / {flower.flower_password})")
    _say(f"  Data     {settings.store.data_dir}, logs in {settings.store.data_dir / 'logs'}")
    if admin_password:
        _say_password(admin_password)
    for number, line in enumerate(confinement):
        _say(f"  {'Sandbox' if number == 0 else '':<8} {line}")
    if urlsplit(url).scheme == "http" and settings.web.host not in {"127.0.0.1", "::1", "localhost"}:
        _say("  Note     the page is served without TLS beyond this machine; put a proxy with TLS in front of it")
    if not _is_internal_url_live(settings):
        url = settings.web.internal_url
        _say(f"  Note     {url} does not answer on this machine, so agents can't work: see AIWORKER_INTERNAL_URL")
    _say("Stop it with Ctrl-C. The next start goes on with the same data.")
    _say("")


def _say_password(admin_password: str) -> None:
    _say(f"  Admin    admin / {admin_password}  (shown this once; change it with: aiworker user password admin)")


def _say(line: str) -> None:
    """Print the line. It is lost where that fails or has to wait, as in a file on a full disk or in a terminal that was
    stopped with Ctrl-S: the platform runs on all the same, and its logs have what its programs say.
    """
    with contextlib.suppress(OSError):
        if _takes_output():
            print(line, flush=True)


def _takes_output() -> bool:
    """Whether somebody takes a line now: not after the terminal was closed, either."""
    output = select.poll()
    try:
        output.register(sys.stdout.fileno(), select.POLLOUT)
    except io.UnsupportedOperation:
        # It is kept in memory.
        return True
    return [event for _file, event in output.poll(0)] == [select.POLLOUT]
