"""An agent whose disk lacks room is alive and claims nothing; with room it works."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import ROOT
from tests.workers.runner.runner_platform import eventually, make_repository, running_platform

pytestmark = pytest.mark.slow

STEPS = "Please do this.\n\n```steps\n- write: {path: hello.txt, content: Hi}\n```\n"


@contextmanager
def agent(tmp_path: Path, url: str, reserve: str) -> Iterator[subprocess.Popen[bytes]]:
    options = ["--url", url, "--token-file", str(tmp_path / "enrolment"), "--work-dir", str(tmp_path / "agent")]
    environ = {"AIWORKER_HEARTBEAT_SECONDS": "0.1", "AIWORKER_AGENT_DISK_RESERVE_BYTES": reserve}
    with (
        (tmp_path / "agent.log").open("ab") as log,
        subprocess.Popen(
            [sys.executable, "-m", "workers.runner", *options], env=os.environ | environ, cwd=ROOT, stderr=log
        ) as process,
    ):
        yield process
        process.kill()


def test_nothing_is_claimed_until_there_is_room(tmp_path: Path) -> None:
    (tmp_path / "enrolment").write_text("enrol-1\n")
    with running_platform() as platform:
        run = platform.add_run("run-1", make_repository(tmp_path / "forge"), STEPS)

        with agent(tmp_path, platform.url, str(2**60)):
            eventually(lambda: len(platform.heartbeats) > 3, "the agent is there")
            eventually(lambda: "no runs are claimed" in (tmp_path / "agent.log").read_text(), "it says why it waits")
        assert not any(platform.heartbeats)

        with agent(tmp_path, platform.url, "0"):
            eventually(lambda: run.finish, f"the run is done; its log: {run.log}")
