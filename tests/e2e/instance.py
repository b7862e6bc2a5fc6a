"""One whole AiWorker on this machine, in a directory and on a port of its own, as `aiworker up` starts it."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import requests

from common.machine.processes.children import PARENT_DEATH_COMMAND
from tests.long_waits import LONG_WAIT_SECONDS
from tests.ports import APP_PORTS, free_port

ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 90


def wait_until(what: str, look: Callable[[], bool], seconds: float = LONG_WAIT_SECONDS) -> None:
    """Look until it holds. AssertionError names what was waited for."""
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.1)


class Instance:
    """url: where it answers. password: admin's. Everything it writes lies below `folder`."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        self.port = int(environ.get("AIWORKER_PORT") or free_port())
        self.url = f"http://127.0.0.1:{self.port}"
        self.password = secrets.token_urlsafe(12)
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environ(self) -> dict[str, str]:
        kept: Mapping[str, str] = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {
            **kept,
            "AIWORKER_DATA_DIR": str(self.folder / "data"),
            "AIWORKER_PORT": str(self.port),
            "AIWORKER_ADMIN_PASSWORD": self.password,
            # Tests change nothing of the machine: .ci/packages installs.
            "AIWORKER_INSTALL": "0",
            # A browser for each preview would take its time from what a test is about.
            "AIWORKER_CHROMIUM": "off",
            "AIWORKER_DISK_RESERVE_BYTES": "0",
            "AIWORKER_RUNTIME_PORTS": str(APP_PORTS),
            **self._environ,
        }

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.launch()
        wait_until("the instance to answer", self.answers)

    def launch(self) -> None:
        """Start it, and wait for nothing."""
        with (self.folder / "up.log").open("ab") as log:
            self._process = subprocess.Popen(
                # It must not outlive tests that are cut off: they leave no chance to stop it.
                [*PARENT_DEATH_COMMAND, sys.executable, "-m", "web.cli", "up"],
                cwd=ROOT,
                env=self.environ,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def answers(self) -> bool:
        assert self._process is None or self._process.poll() is None, self.said()
        try:
            return requests.get(f"{self.url}/api/health/ready", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def said(self) -> str:
        return (self.folder / "up.log").read_text(errors="replace")[-3000:]

    def stop(self) -> int:
        """As Ctrl-C does. Returns the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(STOP_SECONDS)
        finally:
            self.kill()

    def family(self) -> list[psutil.Process]:
        """`aiworker up` and everything that it started, in turn."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if self._process is not None:
                first = psutil.Process(self._process.pid)
                return [first, *first.children(recursive=True)]
        return []

    def kill(self) -> None:
        """kill -9 of every process of it at once."""
        if self._process is None:
            return
        doomed = self.family()
        for process in doomed:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(doomed, timeout=20)
        self._process.wait()
        self._process = None


@contextlib.contextmanager
def running(folder: Path, **environ: str) -> Iterator[Instance]:
    """A started instance; nothing of it is left afterwards."""
    instance = Instance(folder, **environ)
    try:
        instance.start()
        yield instance
    finally:
        instance.kill()
