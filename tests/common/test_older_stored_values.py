"""What an older AiWorker wrote is read today: in rows, in the supervisor's directory, and on objects of a cluster."""

from __future__ import annotations

import json

from common.values.delivery.app import Health, Spec
from common.values.delivery.stored_spec import read_spec, write_spec
from common.values.egress import Egress, Network
from common.values.json_codec import encode
from common.values.testing.build_results import BuildResults, TrialRun, read_build
from common.values.variable_set import Variables

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
