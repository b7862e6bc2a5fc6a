"""What an older AiWorker wrote is read today: in rows, in the supervisor's directory, and on objects of a cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.values.app import Health, Spec
from common.values.build_results import BuildResults, TrialRun, read_build
from common.values.check import CheckEnd, CheckPhase
from common.values.egress import Egress, Network
from common.values.json_codec import encode
from common.values.stored_spec import read_spec, write_spec
from common.values.variable_set import Variables
from workers.supervisor.checks import read_result

OLDEST_SPEC = {
    "start_command": "./run", "env": {"KEY": "s3cret"}, "health_path": "/up", "health_seconds": 30.0,
    "memory_limit": "1Gi", "docker_image": None, "replicas": 2, "port": None,
}  # fmt: skip


def test_a_deployments_spec_of_any_age_is_read() -> None:
    variables, health = Variables({"KEY": "s3cret"}), Health("/up", None, 500, 30.0)
    oldest = Spec("./run", variables, health, "1Gi", None, 2, None)
    assert read_spec(OLDEST_SPEC) == oldest
    assert oldest.network == Network(Egress.OPEN, ())
    older = {**OLDEST_SPEC, "secret_names": ["KEY"], "health_contains": "well", "health_below": 400}
    said = read_spec(older)
    assert (said.variables.secret_names, said.health) == (("KEY",), Health("/up", "well", 400, 30.0))
    assert read_spec(json.loads(json.dumps(write_spec(said)))) == said


def test_a_groups_results_of_any_age_are_read() -> None:
    old = {
        "command": "d",
        "runs": [[2, False], [0, True]],
        "reason": "red",
        "log": "x",
        "verdict": "flaky",
        "says": "so",
    }
    found = BuildResults("d", (TrialRun(2, False), TrialRun(0, True)), "red", "x", "flaky", "so")
    assert read_build(old) == found
    assert read_build(json.loads(json.dumps(encode(found)))) == found
    assert read_build({}) == BuildResults()
    assert read_build({"command": "d", "runs": []}) == BuildResults("d")


@pytest.mark.parametrize(
    ("phase", "exit_code", "reason", "code"),
    [
        ("failed", None, "it was killed by SIGKILL", CheckEnd.KILLED),
        ("failed", None, "it took longer than 9 s", CheckEnd.TIMEOUT),
        ("failed", 1, "it exited with 1", None), ("passed", 0, None, None),
    ],
)  # fmt: skip
def test_a_kept_result_of_a_check_without_a_code_is_read(
    tmp_path: Path, phase: str, exit_code: int | None, reason: str | None, code: str | None
) -> None:
    file = tmp_path / "c.json"
    file.write_text(json.dumps({"phase": phase, "exit_code": exit_code, "log": "said", "reason": reason}))
    state = read_result(file)
    assert (state.phase, state.exit_code, state.log, state.reason, state.code) == (
        CheckPhase(phase), exit_code, "said", reason, code,
    )  # fmt: skip
