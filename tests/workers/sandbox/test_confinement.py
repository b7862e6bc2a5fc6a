"""What a confined command sees, writes and is: everything else of the machine is not there."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.workers.sandbox.conftest import Starter


def test_a_command_gets_its_arguments_and_exactly_its_environment(starter: Starter) -> None:
    ended = starter.run("/usr/bin/env", LD_PRELOAD_NOT="x", EMPTY="", TEXT="a b\n=c")

    expected = {"PATH": os.environ["PATH"], "HOME": str(starter.home), "LD_PRELOAD_NOT": "x", "EMPTY": ""}
    assert ended.status == 0
    assert sorted(ended.output.splitlines()) == sorted(
        [*(f"{name}={value}" for name, value in expected.items()), "TEXT=a b", "=c"]
    )


def test_an_environment_acts_on_nothing_outside(either_starter: Starter, tmp_path: Path) -> None:
    log = tmp_path / "loaded"

    ended = either_starter.run("cat", "/proc/self/status", LD_DEBUG="files", LD_DEBUG_OUTPUT=str(log))

    assert "NoNewPrivs:\t1" in ended.output
    assert list(tmp_path.glob("loaded*")) == []


@pytest.mark.parametrize(
    ("script", "status", "kind"),
    [
        ("exit 3", 3, "first program"),
        ("kill -KILL $$", -signal.SIGKILL, "dialled"),
        ("kill -TERM $$", -signal.SIGTERM, "only killed"),
    ],
)
def test_the_status_is_the_commands(starter: Starter, script: str, status: int, kind: str) -> None:
    starter.is_only_killed = kind == "only killed"
    started = starter.start("sh", "-c", script, needs_dial=kind == "dialled")
    ended = started.end()

    assert started.enclosed.exit_status(ended.status) == status


def test_files_outside_are_not_there(either_starter: Starter, tmp_path: Path) -> None:
    (tmp_path / "canary").write_text("secret")
    (either_starter.workspace / "code").write_text("mine")

    ended = either_starter.run(
        "cat", "code", str(tmp_path / "canary"), "/etc/shadow", "/etc/sudoers", "/root/.bash_history"
    )

    assert ended.output == "mine"
    assert ended.errors.count("No such file or directory") == 4, ended.errors


def test_only_the_walls_paths_can_be_written(starter: Starter, tmp_path: Path) -> None:
    readable = tmp_path / "shown"
    readable.mkdir()
    places = [
        starter.home,
        starter.workspace,
        Path("/tmp"),
        Path("/dev/shm"),
        readable,
        Path("/usr"),
        Path("/etc"),
        Path("/"),
    ]

    script = 'for place; do touch "$place/new" 2>/dev/null && echo "$place"; done; true'
    ended = starter.run(
        "sh", "-c", script, "sh", *map(str, places), sandbox_limits=starter.sandbox_limits(readable=(readable,))
    )

    assert ended.output.splitlines() == [str(place) for place in places[:4]]
    assert (starter.workspace / "new").exists()
    assert not Path("/tmp/new").exists()
    assert not (readable / "new").exists()


def test_a_command_has_no_rights_and_can_get_none(either_starter: Starter) -> None:
    lines = dict(
        line.split(":\t", 1)
        for line in either_starter.run("cat", "/proc/self/status").output.splitlines()
        if ":\t" in line
    )

    assert {lines[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert lines["NoNewPrivs"] == "1"
    assert lines["Uid"].split()[0] != "0"


def test_a_command_holds_no_descriptor_of_the_sandbox(either_starter: Starter) -> None:
    ended = either_starter.python("import os; print(sorted(os.listdir('/proc/self/fd'), key=int))")

    assert ended.output.split(", ")[:3] == ["['0'", "'1'", "'2'"]
    assert ended.output.count("'") == 8, ended.output  # and the one of the listing itself


def test_nothing_is_left_after_close(starter: Starter) -> None:
    started = starter.start("sh", "-c", "setsid sleep 1000 & setsid sleep 1000 & wait", needs_dial=True)
    started.process.kill()
    started.end()

    assert starter.left() == []
