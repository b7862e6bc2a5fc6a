"""The platform's processes as the Procfile starts them, on stores of their own; other apps under the same gunicorn."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common.machine.processes.children import PARENT_DEATH_COMMAND
from tests.bench.machine import LOAD_CORES, SERVER_CORES, pinned
from tests.databases import sqlite_url
from tests.ports import free_port
from tests.servers import ROOT, mariadb_server, redis_server

START_SECONDS = 60
DATABASES = ("SQLite", "MariaDB")
_MARIADB = ("--innodb-buffer-pool-size=1G", "--max-connections=300")


@dataclass(frozen=True)
class Platform:
    """Stores with the schema in them, and an administrator. Nothing of it is started but its database and its Redis.

    environ: the whole environment of each of its processes. token: an API token of the administrator.
    """

    folder: Path
    database: str
    environ: dict[str, str]
    token: str

    def settings(self) -> None:
        """Let this process, too, read these settings. Once in a process: engines and caches keep what they read."""
        os.environ.update(self.environ)


@dataclass(frozen=True)
class Started:
    """A program. pid: its first process (gunicorn's arbiter). url: where it serves; '' if it serves nothing."""

    pid: int
    url: str


@contextlib.contextmanager
def platform(database: str = "SQLite", **environ: str) -> Iterator[Platform]:
    """A platform on the database `SQLite` or `MariaDB`. environ: more settings. Raises tests.servers.NotInstalled.

    Database and Redis run on the load's cores.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aiworker-bench-")))
        with pinned(LOAD_CORES):
            redis_url = stack.enter_context(redis_server())
            is_sqlite = database == "SQLite"
            url = (
                sqlite_url(folder / "aiworker.db")
                if is_sqlite
                else stack.enter_context(mariadb_server(*_MARIADB)).new_database()
            )
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        everything = {
            **kept,
            "PATH": f"{Path(sys.executable).parent}:{kept.get('PATH', os.defpath)}",
            "AIWORKER_DATA_DIR": str(folder / "data"),
            "AIWORKER_DATABASE_URL": url,
            "AIWORKER_REDIS_URL": redis_url,
            "AIWORKER_ADMIN_PASSWORD": secrets.token_urlsafe(12),
            "AIWORKER_DISK_RESERVE_BYTES": "0",
            # One person's clients are what is measured.
            "AIWORKER_WRITES_PER_MINUTE": "100000000",
            **environ,
        }
        _run("python -m web.cli db upgrade", everything)
        token = _run("python -m web.cli token create bench", everything).split()[-1]
        yield Platform(folder, database, everything, token)


@contextlib.contextmanager
def procfile(
    name: str,
    platform: Platform,
    *,
    app: str | None = None,
    cores: list[int] = SERVER_CORES,
    **environ: str,
) -> Iterator[Started]:
    """The program that the Procfile calls `name`, on these cores, as soon as it answers.

    app: another WSGI app (`package.module:app`) under the same line of gunicorn, for the limit of gunicorn and Flask.
    environ: more settings, such as WEB_CONCURRENCY="2". What it prints is
    in `<folder>/<name>.log`.
    """
    port = free_port()
    line = procfile_line(name)
    if app is not None:
        line = re.sub(r'"web\.app:create_\w+\(\)"', f'"{app}"', line)
    is_server = "web.launcher.serve" in line
    ports = ("AIWORKER_PORT", "AIWORKER_RELAY_PORT", "AIWORKER_GATEWAY_PORT")
    everything = {**platform.environ, **dict.fromkeys(ports, str(port)), **environ}
    with started(["sh", "-c", f"exec {line}"], everything, platform.folder / f"{name}.log", cores) as pid:
        url = f"http://127.0.0.1:{port}" if is_server else ""
        if is_server:
            wait_for_http(f"{url}/api/health/live", pid)
        yield Started(pid, url)


@contextlib.contextmanager
def started(argv: list[str], environ: dict[str, str], log: Path, cores: list[int] = SERVER_CORES) -> Iterator[int]:
    """A program in the background, ended with all that it started when the block ends. Yields its process id."""
    with log.open("ab") as output, pinned(cores):
        process = subprocess.Popen(
            [*PARENT_DEATH_COMMAND, *argv], cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def procfile_line(name: str) -> str:
    """The command of a line of the Procfile, with its ${VARIABLES}."""
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines() if ": " in line)
    return lines[name]


def wait_for_http(url: str, pid: int) -> None:
    """Return when `url` answers anything at all, be it an error. RuntimeError if the process ends before."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            if not Path(f"/proc/{pid}").exists() or _is_zombie(pid):
                raise RuntimeError(f"the program for {url} ended; its log says why") from None
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _run(line: str, environ: dict[str, str]) -> str:
    done = subprocess.run(
        ["sh", "-c", f"exec {line}"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        raise RuntimeError(f"{line}: {done.stderr[-2000:]}")
    return done.stdout
