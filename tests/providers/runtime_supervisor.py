"""A real supervisor in a directory of its own, and real repositories with small web apps for it to run."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.errors import ProviderUnavailable
from common.machine.git.environment import git_environment
from common.machine.processes.children import PARENT_DEATH_COMMAND, base_environment
from common.network.port_ranges import PortRange
from common.providers.runtime import ProcessRuntime
from common.values.delivery.app import Version
from common.values.repository import Source
from tests.long_waits import LONG_WAIT_SECONDS
from tests.ports import APP_PORTS
from tests.processes import is_running_process
from tests.providers.runtime_contract import until, version_of
from tests.tls import TRUST_VARIABLES

ROOT = Path(__file__).resolve().parents[2]
WATCH_SECONDS = "0.3"
"""Tests do not sit through waits: a live version that turns bad is noticed sooner than by default."""

WEB_APP = """
import http.server, json, os, subprocess, sys, time

began = time.monotonic()
keep, answers = [], []


class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        status, body = 200, open("says").read()
        if time.monotonic() - began > float(os.environ.get("TURNS_BAD_AFTER", "1000")):
            status = 500
        answers.append(self.path)
        if len(answers) > int(os.environ.get("GOOD_ANSWERS", "1000000")):
            status = 500
        if os.path.exists("bad"):
            status = 500
        if self.path == "/env":
            body = json.dumps(dict(os.environ))
        elif self.path == "/pid":
            body = str(os.getpid())
        elif self.path == "/child":
            body = str(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid)
        elif self.path == "/daemon":
            body = str(subprocess.Popen(["sleep", "600"], start_new_session=True).pid)
        elif self.path == "/eat":
            keep.append(b"x" * 120_000_000)
        elif self.path == "/die":
            os._exit(7)
        elif self.path == "/turn-bad":
            open("bad", "w").close()
        elif self.path == "/talk":
            for number in range(60_000):
                print(f"line {number} " + "." * 40)
        elif self.path == "/slow":
            time.sleep(1.5)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


print("\\x1b[31mhello\\x1b[0m from", open("says").read(), flush=True)
Server((os.environ["HOST"], int(os.environ["PORT"])), App).serve_forever()
"""
RUN_WEB_APP = f"{shlex.quote(sys.executable)} -I app.py"


def bad_after(answers: int) -> str:
    """WEB_APP, which answers so often, then 500. Counted, not timed: a gate of 0 s needs one answer, however late."""
    return WEB_APP.replace('os.environ.get("GOOD_ANSWERS", "1000000")', str(answers))


_WITH_CONSTANTS = """
import importlib, json, sys
from workers.supervisor.__main__ import main

for name, value in json.loads(sys.argv.pop(1)).items():
    place, constant = name.rsplit(".", 1)
    module = importlib.import_module(f"workers.supervisor.{place}")
    assert hasattr(module, constant), name
    setattr(module, constant, value)
sys.exit(main())
"""


class Repository:
    """A git repository on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=main")

    def commit(self, **files: str) -> str:
        """Commit these files alone, `__` in a name being a dot; returns the SHA."""
        for old in self.path.iterdir():
            if old.name != ".git":
                old.unlink()
        for name, text in files.items():
            (self.path / name.replace("__", ".")).write_text(text)
        return self.commit_all()

    def commit_all(self) -> str:
        """Commit what lies in the work tree; returns the SHA."""
        self._git("add", "--all")
        self._git("-c", "user.name=T", "-c", "user.email=t@localhost", "commit", "--quiet", "--allow-empty", "-m", "x")
        return self._git("rev-parse", "HEAD")

    def reset(self, to: str) -> None:
        """Move the branch, and with it leave the commits after it on no branch."""
        self._git("reset", "--quiet", "--hard", to)

    def serve_plainly(self) -> None:
        """Write the files that git's protocol without a server program reads."""
        self._git("update-server-info")

    def version(self, version_id: str, commit: str, **fields: Any) -> Version:
        return version_of(version_id, commit, Source(str(self.path)), **{"start_seconds": 120, **fields})

    def web_app(self, version_id: str, *, says: str | None = None, **fields: Any) -> Version:
        """A version that answers with `says`, by default its id."""
        commit = self.commit(app__py=WEB_APP, says=says or version_id)
        return self.version(version_id, commit, **{"start_command": RUN_WEB_APP, **fields})

    def _git(self, *arguments: str) -> str:
        env = git_environment(base_environment(os.devnull))
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments], check=True, capture_output=True, text=True, env=env
        )
        return done.stdout.strip()


class Supervisor:
    """A supervisor process. `runtime` is a client of it. It confines nothing unless `environ` says so.

    constants: other values of its modules' constants, such as {"traffic.forward.IDLE_SECONDS": 60}: for tests that
    assert nothing about that time. Most would fail if a busy machine let them, or an app, wait for longer than it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        socket: Path | None = None,
        bind: str = "127.0.0.1",
        ports: PortRange = APP_PORTS,
        disk_bytes: int | None = None,
        constants: Mapping[str, float] | None = None,
        **environ: str,
    ) -> None:
        self.directory = directory
        self.bind, self.ports = bind, ports
        self.socket = socket or directory / "s.sock"
        self.runtime = ProcessRuntime(self.socket, answer_seconds=LONG_WAIT_SECONDS)
        self._options = [] if disk_bytes is None else ["--disk-bytes", str(disk_bytes)]
        self._program = ["-c", _WITH_CONSTANTS, json.dumps(constants)] if constants else ["-m", "workers.supervisor"]
        self._environ = {"AIWORKER_SANDBOX": "off", **environ}
        self.process = self.spawn()
        until(self._answers, what="the supervisor's start")

    def spawn(self, **options: Any) -> subprocess.Popen[str]:
        options_of_it = ["--dir", str(self.directory), "--socket", str(self.socket), "--watch-seconds", WATCH_SECONDS]
        options_of_it += ["--bind", self.bind, "--ports", str(self.ports), *self._options]
        # It must not outlive tests that are cut off: they leave no chance to stop it.
        command = [*PARENT_DEATH_COMMAND, sys.executable, *self._program, *options_of_it]
        # What names certificates here is passed on to apps.
        own = {name: value for name, value in os.environ.items() if name not in TRUST_VARIABLES}
        env = {**own, **self._environ}
        return subprocess.Popen(command, cwd=ROOT, env=env, text=True, **options)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LONG_WAIT_SECONDS)

    def start_again(self) -> None:
        self.process = self.spawn()
        until(self._answers, what="the supervisor's second start")

    def _answers(self) -> bool:
        assert self.process.poll() is None, "the supervisor has ended"
        try:
            self.runtime.ping()
        except ProviderUnavailable:
            return False
        return True


@contextmanager
def supervised(
    directory: Path, *, bind: str = "127.0.0.1", disk_bytes: int | None = None,
    constants: Mapping[str, float] | None = None, **environ: str,
) -> Iterator[Supervisor]:  # fmt: skip
    supervisor = Supervisor(directory, bind=bind, disk_bytes=disk_bytes, constants=constants, **environ)
    try:
        yield supervisor
    finally:
        if supervisor.process.poll() is None:
            supervisor.stop()


def get(url: str, path: str = "/") -> tuple[int, str]:
    """(status, body) over a connection of its own."""
    try:
        with urllib.request.urlopen(url + path, timeout=LONG_WAIT_SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def get_unless_cut(url: str, path: str = "/") -> tuple[int, str] | None:
    """`get`; None if the connection ends without a response.

    Linux closes the connections of a process that ends before the socket on which it listens: an app may accept a
    connection while it dies, and reset it.
    """
    try:
        return get(url, path)
    except OSError:
        return None


def wait_until_gone(*pids: int) -> None:
    until(lambda: not any(is_running_process(pid) for pid in pids), what=f"the end of {pids}")
