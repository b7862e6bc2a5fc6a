"""Programs that are forks of the launcher, each in a launcher of its own: a process of tests has several threads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.e2e.instance import wait_until
from tests.processes import is_running_process
from tests.servers import ROOT

LAUNCHER = """
import json, sys, threading
from pathlib import Path
from common.machine.locks import locked
from web.launcher.children import Processes, Program

folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
argv = (sys.executable, "-m", "forked", *sys.argv[2:])
program, other = (
    Program(name, argv, {"PATH": "/bin", "OWN": "yes"}, folder, entry="forked") for name in ("program", "other")
)
with locked(folder / "lock"):
    processes = Processes(folder / "logs", lambda line: print(line, flush=True))
    processes.start(program, other)
    print(processes.pid("program"), flush=True)
    while True:
        processes.step()
"""
LOADED = "import os\npid = os.getpid()\n"
FORKED = """
import json, os, signal, sys, threading
from pathlib import Path
import loaded_once

def main():
    if "fails" in sys.argv:
        sys.exit("it can't start")
    about = {
        "arguments": sys.argv[1:],
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "loaded_by": loaded_once.pid,
        "parent": os.getppid(),
        "leads_its_session": os.getsid(0) == os.getpid(),
        "name": Path("/proc/self/comm").read_text().strip(),
        "files": sorted(map(int, os.listdir("/proc/self/fd")))[:-1],
        "ends_at": signal.getsignal(signal.SIGTERM) is signal.SIG_DFL,
    }
    print(json.dumps(about), file=sys.stderr)
    signal.pause()
"""


@contextmanager
def launched(
    folder: Path, *command_words: str, loaded: str = LOADED
) -> Iterator[tuple[subprocess.Popen[str], Iterator[str]]]:
    """A launcher with one forked program, and the lines that it prints."""
    (folder / "loaded_once.py").write_text(loaded)
    (folder / "forked.py").write_text(FORKED)
    command = [sys.executable, "-c", LAUNCHER, str(folder), *command_words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        try:
            yield launcher, map(str.rstrip, launcher.stdout)
        finally:
            launcher.kill()


def told(folder: Path, name: str = "program") -> dict[str, Any]:
    """What the fork wrote about itself, which is in its log."""
    log = folder / "logs" / f"{name}.log"
    wait_until("the fork's line", lambda: log.exists() and log.read_text().endswith("}\n"))
    about: dict[str, Any] = json.loads(log.read_text().splitlines()[-1])
    return about


def test_forks_share_what_is_loaded_and_nothing_else(tmp_path: Path) -> None:
    with launched(tmp_path, "--one", "two") as (launcher, _lines):
        about = told(tmp_path)
        template = about.pop("loaded_by")
        assert about == {
            "arguments": ["--one", "two"],
            "environment": {"PATH": "/bin", "OWN": "yes"},
            "directory": str(tmp_path),
            "parent": launcher.pid,
            "leads_its_session": True,
            "name": "program",
            "files": [0, 1, 2],
            "ends_at": True,
        }
        assert told(tmp_path, "other") == {**about, "name": "other", "loaded_by": template}
        assert template != launcher.pid
        assert not psutil.pid_exists(template)


def test_a_fork_that_is_killed_is_started_again(tmp_path: Path) -> None:
    with launched(tmp_path) as (_launcher, lines):
        told(tmp_path)

        os.kill(int(next(lines)), signal.SIGKILL)

        assert next(lines) == "program ended by signal SIGKILL; it is started again in 0.5 s"
        wait_until("the second start", lambda: (tmp_path / "logs" / "program.log").read_text().count("loaded_by") == 2)


def test_a_fork_dies_with_its_launcher(tmp_path: Path) -> None:
    with launched(tmp_path) as (launcher, lines):
        told(tmp_path)
        fork = int(next(lines))

        launcher.kill()

        wait_until("the fork to end", lambda: not is_running_process(fork))
