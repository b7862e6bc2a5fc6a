"""The agent's process as a pod has it: who it is, is a file that somebody else wrote, and it never enrols."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.workers.runner.runner_platform import Platform, eventually, make_repository

pytestmark = pytest.mark.slow

TOKEN = "agent-token-of-the-pod"


@pytest.fixture
def identity(tmp_path: Path, platform: Platform) -> Path:
    path = tmp_path / "agent.json"
    platform.agent_tokens.add(TOKEN)
    path.write_text(json.dumps({"url": platform.url, "agentId": "agent-0123456789ab", "token": TOKEN}))
    path.chmod(0o440)
    return path


@pytest.fixture
def agent(platform: Platform, identity: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "workers.runner", "--url", platform.url, "--name", "pod-1",
         "--identity-file", str(identity), "--work-dir", str(tmp_path / "work"), "--capabilities", ""],
        env=os.environ | {"AIWORKER_HEARTBEAT_SECONDS": "0.1"},
        cwd=Path(__file__).parents[3],
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    yield process
    process.kill()
    process.communicate()


def test_it_works_without_enrolling_and_ends_when_it_is_drained(
    platform: Platform, agent: subprocess.Popen[str], tmp_path: Path
) -> None:
    run = platform.add_run("run-1", make_repository(tmp_path / "forge"), "Do it.\n\n```steps\n- say: Done\n```\n")
    report = eventually(lambda: run.finish, "the run is reported")
    assert report["outcome"] == "completed"
    assert platform.registrations == []
    platform.direct({"do": "drain"})
    assert agent.wait(PATIENCE_SECONDS) == 0


def test_one_that_the_platform_does_not_know_ends_with_one_line(
    platform: Platform, agent: subprocess.Popen[str], identity: Path
) -> None:
    eventually(lambda: platform.heartbeats, "the agent is there")
    platform.agent_tokens.clear()
    _out, said = agent.communicate(timeout=PATIENCE_SECONDS)
    assert agent.returncode == 1
    assert f"aiworker agent: the platform at {platform.url} does not know the agent in {identity}" in said
    assert platform.registrations == []
    assert TOKEN not in said
