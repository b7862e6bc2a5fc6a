"""The agent's process as a pod has it: who it is, is a file that somebody else wrote, and it never enrols."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.long_waits import LONG_WAIT_SECONDS
from tests.workers.runner.runner_platform import Platform, ended, steps


@pytest.mark.slow
def test_it_works_without_enrolling_and_ends_when_it_is_drained(
    platform: Platform, repository: Path, tmp_path: Path
) -> None:
    identity, token = tmp_path / "agent.json", "agent-token-of-the-pod"
    platform.agent_tokens.add(token)
    identity.write_text(json.dumps({"url": platform.url, "agentId": "agent-0123456789ab", "token": token}))
    identity.chmod(0o440)
    run = platform.add_run("run-1", repository, steps("- say: Done"))
    agent = subprocess.Popen(
        [sys.executable, "-m", "workers.runner", "--url", platform.url, "--name", "pod-1",
         "--identity-file", str(identity), "--work-dir", str(tmp_path / "work"), "--capabilities", "",
         "--heartbeat-seconds", "0.1"],
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    try:
        assert ended(run)["outcome"] == "completed"
        assert platform.registrations == []
        platform.direct({"do": "drain"})
        assert agent.wait(LONG_WAIT_SECONDS) == 0
    finally:
        agent.kill()
        agent.wait()
