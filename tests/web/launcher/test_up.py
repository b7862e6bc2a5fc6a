"""The whole platform on this machine: started, stopped, started again, with real processes only."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from common.errors import Misconfigured
from tests.e2e.instance import wait_until
from tests.ports import free_port
from tests.processes import command_words, is_running_process
from tests.servers import ROOT
from web.cli.commands.up import examine_up, up

LAUNCH = """
import sys
from common.errors import Misconfigured
from common.settings import from_env
from web.launcher.up import UpOptions, run_up
try:
    sys.exit(run_up(from_env(), UpOptions(has_flower="flower" in sys.argv, installs_sandbox=False)))
except Misconfigured as error:
    sys.exit(str(error))
"""
IDLE_PROCESSES = 9
"""The launcher, Valkey, the supervisor and its guard, gunicorn and its process, two workers, and the agent."""
LOGS = {"agent-1", "flower", "supervisor", "valkey", "web", "worker", "worker-slow"}


@contextmanager
def launched(
    data_dir: Path, port: int, *command_words: str, output: IO[Any] | int = subprocess.PIPE, before: Sequence[str] = (),
    folder: Path = ROOT, **environ: str,
) -> Iterator[subprocess.Popen[str]]:  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIWORKER_")}
    environment |= {"AIWORKER_DATA_DIR": str(data_dir), "AIWORKER_PORT": str(port), "PYTHONPATH": str(ROOT), **environ}
    command = [*before, sys.executable, "-c", LAUNCH, *command_words]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, text=True
    ) as launcher:
        try:
            yield launcher
        finally:
            launcher.kill()


def started_by(launcher: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(launcher.pid).children(recursive=True)


def named_by_forks(launcher: subprocess.Popen[str]) -> set[str]:
    """The names of the launcher's forks, which have its arguments."""
    _, *arguments = command_words(psutil.Process(launcher.pid))
    # Some have ended by now, such as a look for a program's version.
    return {found[0] for found in map(command_words, started_by(launcher)) if found[1:] == arguments}


def read_until(launcher: subprocess.Popen[str], part: str) -> str:
    """What the launcher printed up to the line with this part. It ends early, and fails, where the launcher ends."""
    assert launcher.stdout is not None
    printed = ""
    for line in launcher.stdout:
        printed += line
        if part in line:
            return printed
    pytest.fail(f"the launcher ended and never printed {part!r}:\n{printed}")


@pytest.mark.slow
def test_the_platform_starts_stops_and_goes_on_with_its_data(tmp_path: Path) -> None:
    port = free_port()
    with launched(tmp_path / "data", port, "flower") as launcher:
        first = read_until(launcher, "Stop it with Ctrl-C")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health/live") as reply:
            assert reply.status == 200
        children = started_by(launcher)
        _see_sweeps_go_on_after_a_lost_broker(tmp_path / "data", children)
        launcher.send_signal(signal.SIGINT)
        assert launcher.stdout is not None
        assert launcher.stdout.read().rstrip().endswith("Stopped.")
        assert launcher.wait() == 0
    # What had to be killed is not waited for.
    wait_until("the end of all of it", lambda: not any(is_running_process(child.pid) for child in children))
    assert {log.stem for log in (tmp_path / "data" / "logs").glob("*.log")} == LOGS
    assert (tmp_path / "data" / "agent" / "enrolment-token").stat().st_mode & 0o777 == 0o600

    # A version before this one left the directory open to other users.
    for path in (tmp_path / "data", tmp_path / "data" / "logs", tmp_path / "data" / "aiworker.db"):
        path.chmod(path.stat().st_mode | 0o055)
    with launched(tmp_path / "data", port) as launcher:
        second = read_until(launcher, "Stop it with Ctrl-C")
        wait_until("an idle platform's processes", lambda: len(started_by(launcher)) == IDLE_PROCESSES - 1)
        # A fork gives itself its name.
        wait_until("the forks' names", lambda: named_by_forks(launcher) == {"worker", "worker-slow"})
        launcher.send_signal(signal.SIGTERM)
        assert launcher.wait() == 0
    everything = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    assert [path for path in everything if path.lstat().st_mode & 0o077] == []
    assert "admin / " in first
    assert "  Sandbox  " in first
    assert "AIWORKER_INTERNAL_URL" not in first
    assert "admin / " not in second


def _see_sweeps_go_on_after_a_lost_broker(data_dir: Path, children: list[psutil.Process]) -> None:
    wait_until("the first sweep", lambda: _swept_at(data_dir) is not None)
    (valkey,) = [child for child in children if "valkey" in "".join(command_words(child)[:1])]
    valkey.kill()
    # The first one may have been under way already.
    for _ in range(2):
        before = _swept_at(data_dir)
        wait_until("another sweep", lambda before=before: _swept_at(data_dir) != before)


def _swept_at(data_dir: Path) -> str | None:
    with closing(sqlite3.connect(data_dir / "aiworker.db")) as database:
        found = database.execute("SELECT at FROM marks WHERE name = 'sweep'").fetchone()
    return str(found[0]) if found else None


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("AIWORKER_AGENTS", "x", "a whole number from 0 to 64"),
        ("AIWORKER_AGENT_SLOTS", "0", "a whole number from 1 to 100"),
        ("AIWORKER_FLOWER", "maybe", "0 or 1"),
    ],
)
def test_a_wrong_setting_of_its_own_is_told_in_one_line_by_it_and_by_the_doctor(
    name: str, value: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(Misconfigured, match=f"^{name}={value} is not {wanted}$"):
        up.make_context("up", [])
    found = [(one.status, one.part, one.says) for one in examine_up()]
    assert found == [("fail", "settings", f"{name}={value} is not {wanted}")]

    # The option counts before it, and completing the command's words goes on.
    assert up.make_context("up", ["--agents", "2", "--slots", "2", "--no-flower"]).params["agents"] == 2
    up.make_context("up", [], resilient_parsing=True)


def test_a_taken_port_stops_the_start_with_one_line(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with launched(tmp_path / "data", port) as launcher:
            assert launcher.stdout is not None
            printed = launcher.stdout.read()
            assert launcher.wait() == 1

    assert printed.splitlines() == [
        f"port {port} on 127.0.0.1 can't be used (Address already in use); choose another with AIWORKER_PORT or --port"
    ]
