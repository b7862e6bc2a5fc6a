"""A web server whose data directory fills up: run by test_full_disk.py, in a mount namespace where that is allowed.

`python -m tests.web.http.full_disk DIRECTORY REDIS_URL tmpfs|limit`. With `tmpfs` the directory is a small file system
of this program's own, which it fills; with `limit` no file of the server may grow any more (RLIMIT_FSIZE), which SQLite
meets as it meets a full disk. Prints what was answered, as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import requests

from common.machine.children import PARENT_DEATH_COMMAND
from common.services.health.schema import upgrade
from common.settings import settings
from common.states import Role
from tests import builders
from tests.e2e.instance import wait_until
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port
from web.launcher.programs import Catalogue

SIZE_BYTES = 24 * 2**20


def main(directory: Path, redis_url: str, kind: str) -> None:
    if kind == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", directory], check=True)
    port = free_port()
    os.environ |= {
        "AIWORKER_DATA_DIR": str(directory / "data"),
        "AIWORKER_REDIS_URL": redis_url,
        "AIWORKER_PORT": str(port),
        "AIWORKER_DISK_RESERVE_BYTES": "0",
    }
    upgrade()
    token = builders.a_token(builders.a_user("max", Role.MAINTAINER))
    with _served(directory) as server, requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        url = f"http://127.0.0.1:{port}/api"
        wait_until("the server to answer", lambda: _is_live(url))
        workers = [child.pid for child in psutil.Process(server.pid).children()]
        found: dict[str, Any] = {"before": _write(session, url, "Before")}
        found["mapped"] = sorted(
            {
                mapped.path
                for pid in workers
                for mapped in psutil.Process(pid).memory_maps()
                if str(directory) in mapped.path
            }
        )
        fill, empty = _tmpfs(directory) if kind == "tmpfs" else _limit(workers)
        fill()
        found["full"] = [_write(session, url, f"Full {number}") for number in range(10)]
        found["read"] = [session.get(f"{url}/projects", timeout=PATIENCE_SECONDS).status_code for _ in range(10)]
        found["metrics"] = session.get(f"{url}/metrics", timeout=PATIENCE_SECONDS).status_code
        found["health"] = _health(session, url, is_told=kind == "tmpfs")
        empty()
        found["after"] = _write(session, url, "After")
        found["names"] = sorted(
            one["name"] for one in session.get(f"{url}/projects", timeout=PATIENCE_SECONDS).json()["projects"]
        )
        found["is_same_worker"] = workers == [child.pid for child in psutil.Process(server.pid).children()]
    print(json.dumps(found))


@contextlib.contextmanager
def _served(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The web program of `aiworker up`, without the launcher."""
    program = Catalogue(settings(), flower_port=0, flower_password="").web()
    with (directory.parent / "web.log").open("wb") as log:
        server = subprocess.Popen(
            [*PARENT_DEATH_COMMAND, *program.argv],
            cwd=program.directory,
            env=dict(program.environment),
            stdout=log,
            stderr=log,
        )
        try:
            yield server
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(PATIENCE_SECONDS)


def _write(session: requests.Session, url: str, name: str) -> tuple[int, Any]:
    """Status and, of an error, the field that it names."""
    reply = session.post(f"{url}/projects", json={"name": name}, timeout=PATIENCE_SECONDS)
    return reply.status_code, reply.json().get("details", {}).get("field")


def _health(session: requests.Session, url: str, *, is_told: bool) -> str:
    """What it says of the disk. is_told: it has to say something else than before, once it has looked anew."""

    said = ""

    def is_read() -> bool:
        nonlocal said
        # None while nothing is known, as when a look takes too long.
        said = session.get(f"{url}/health", timeout=PATIENCE_SECONDS).json()["disk"] or ""
        return said != "" and not (is_told and said == "ok")

    wait_until("the disk to be told of", is_read)
    return said


def _tmpfs(directory: Path) -> tuple[Callable[[], None], Callable[[], None]]:
    filler = directory / "filler"

    def fill() -> None:
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)

    return fill, filler.unlink


def _limit(workers: list[int]) -> tuple[Callable[[], None], Callable[[], None]]:
    def limit(size: int) -> None:
        for pid in workers:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    return lambda: limit(1), lambda: limit(resource.RLIM_INFINITY)


def _is_live(url: str) -> bool:
    try:
        return requests.get(f"{url}/health/live", timeout=2).status_code == 200
    except requests.RequestException:
        return False


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
