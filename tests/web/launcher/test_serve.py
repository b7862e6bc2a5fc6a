"""The processes of the Procfile: a wrong number of them, or a wrong setting, is one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ROOT
from tests.web.world import LONG_WAIT_SECONDS

pytestmark = pytest.mark.slow

LINES = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text("utf-8").splitlines())


def started(command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", f"exec {command}"],
        cwd=ROOT, env={**os.environ, "PATH": path, **settings},
        capture_output=True, text=True, timeout=LONG_WAIT_SECONDS, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("web", "WEB_CONCURRENCY"),
        ("gateway", "AIWORKER_GATEWAY_PROCESSES"),
        ("worker", "AIWORKER_QUICK_PROCESSES"),
    ],
)
def test_a_number_of_processes_that_is_none_is_one_line(name: str, setting: str) -> None:
    ended = started(LINES[name], **{setting: "two"})

    assert ended.returncode == 1
    assert (ended.stdout, ended.stderr) == (
        "", f"aiworker: {setting}=two is not a whole number from 1 to 1000; correct or unset it\n"
    )  # fmt: skip


@pytest.mark.parametrize("name", ["release", "web", "worker"])
def test_a_wrong_setting_is_one_line(name: str, tmp_path: Path) -> None:
    ended = started(LINES[name], AIWORKER_DATA_DIR=str(tmp_path), AIWORKER_LOG_LEVEL="LOUD")

    assert ended.returncode == 1
    assert (ended.stdout, ended.stderr) == (
        "", "aiworker: AIWORKER_LOG_LEVEL=LOUD is not one of DEBUG, INFO, WARNING, ERROR, CRITICAL\n"
    )  # fmt: skip
