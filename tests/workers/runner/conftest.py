"""A platform, a repository and the agent's process, for tests of the whole agent."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.runner.runner_platform import Platform, Start, make_repository, running_platform

AGENT_SETTINGS = {"AIWORKER_SANDBOX": "off", "AIWORKER_SECRET": "s3cret"}
"""Not confined: the commands of these tests and the tests tell each other things by files beside the runs."""


@pytest.fixture
def platform() -> Iterator[Platform]:
    with running_platform() as running:
        yield running


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "forge")


@pytest.fixture
def start(platform: Platform, tmp_path: Path) -> Iterator[Start]:
    """Starts `python -m workers.runner`; whatever still runs is killed at the end."""
    started: list[subprocess.Popen[bytes]] = []
    (tmp_path / "enrolment").write_text("enrol-1\n")

    def begin(*arguments: str, **environ: str) -> subprocess.Popen[bytes]:
        with (tmp_path / "agent.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "workers.runner", "--url", platform.url, "--name", "pod-1",
                 "--token-file", str(tmp_path / "enrolment"), "--work-dir", str(tmp_path / "agent"),
                 "--heartbeat-seconds", "0.1", *arguments],
                env=os.environ | AGENT_SETTINGS | environ,
                cwd=Path(__file__).parents[3],
                stderr=log,
            )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
