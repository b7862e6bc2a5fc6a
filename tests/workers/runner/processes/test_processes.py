"""Processes below the runner: bounded lines, output apart, input, and the end of the whole tree."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.long_waits import LONG_WAIT_SECONDS
from tests.workers.runner.runner_platform import eventually
from workers.runner.processes.processes import KEPT_ERROR_BYTES, Line, Process, start


def begin(command: str, cwd: Path, **more: bool) -> Process:
    environ = {"PATH": os.environ["PATH"], "HOME": str(cwd)}
    return start(["/bin/sh", "-c", command], cwd=cwd, environ=environ, command_sandbox=None, **more)


def read_all(process: Process) -> list[Line]:
    lines = []
    with process:
        while not process.is_over:
            lines += process.read(1)
    return lines


def test_output_and_errors_come_apart_and_the_end_of_the_errors_is_kept(tmp_path: Path) -> None:
    process = begin("echo out; seq 1 40000 >&2; echo end >&2; exit 3", tmp_path)
    assert read_all(process) == [Line("out")]
    assert process.error_text().endswith("\n40000\nend\n")
    assert len(process.error_text()) == KEPT_ERROR_BYTES
    assert process.code == 3


@pytest.mark.parametrize(
    ("trap", "grace_seconds", "code"),
    [
        ("trap 'exit 9' INT", 30.0, 9),
        ("trap '' INT; trap 'exit 8' TERM", 2.0, 8),
        ("trap '' INT TERM", 0.3, 128 + signal.SIGKILL),
    ],
)
def test_it_is_stopped_by_int_then_term_then_kill(tmp_path: Path, trap: str, grace_seconds: float, code: int) -> None:
    # Whoever runs the tests in the background may ignore SIGINT; programs would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    child = "sh -c 'trap \"\" INT TERM; while :; do sleep 0.05; done' & echo $!"
    with begin(f"{trap}; {child}; echo ready; while :; do sleep 0.05; done", tmp_path) as process:
        said: list[str] = []
        while "ready" not in said:
            said += [line.text for line in process.read(LONG_WAIT_SECONDS)]
        process.stop(grace_seconds=grace_seconds)
        while not process.is_over:
            process.read(1)
    assert process.code == code
    eventually(lambda: not psutil.pid_exists(int(said[0])), "its child is gone")


def test_nobody_else_opens_the_streams_of_a_private_process(tmp_path: Path) -> None:
    with begin("cat; echo closed", tmp_path, has_input=True, is_private=True) as process:
        for stream in ("0", "1"):
            with pytest.raises(OSError) as refused:
                os.open(f"/proc/{process.pid}/fd/{stream}", os.O_WRONLY | os.O_NONBLOCK)
            assert refused.value.errno == errno.ENXIO
        process.write("x" * 1_000_000 + "\n")
        process.close_input()
        lines: list[Line] = []
        while not process.is_over:
            lines += process.read(1)
    assert [len(line.text) for line in lines] == [1_000_000, len("closed")]
    assert process.code == 0


def test_its_end_is_noticed_though_others_hold_its_output(tmp_path: Path) -> None:
    process = begin("sleep 300 & echo out; exit 5", tmp_path)
    assert read_all(process) == [Line("out")]
    assert process.code == 5


def test_its_environment_is_what_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "s3cret")
    with start(["env"], cwd=tmp_path, environ={"A": "b"}, command_sandbox=None) as process:
        assert [line.text for line in process.read(LONG_WAIT_SECONDS)] == ["A=b"]
