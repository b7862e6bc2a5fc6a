"""Only a command that began has a verdict on its commit: what a cluster lacks before that is said, and waited for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from common.errors import ProviderUnavailable
from common.providers.runtime import Runtime
from common.providers.runtime.cluster_objects.reasons import judge_check
from common.values.testing.check import Check, CheckPhase, CheckState
from tests.doubles.kubernetes import ClusterDouble
from tests.providers.runtime_cluster import SPACE, again, runtime_on, version
from tests.providers.runtime_contract import check_of, finished, until
from workers.execution.provider_calls import run_check

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def runtime(cluster: ClusterDouble, tmp_path: Path) -> Iterator[Runtime]:
    with runtime_on(cluster, tmp_path) as running:
        yield running


def _check(command: str = "echo done", **more: Any) -> Check:
    return replace(check_of(version("v1"), SPACE, "c", command), **more)


def _waiting(runtime: Runtime, check: Check) -> CheckState:
    """The check's state once it waits for something that has a name."""

    def look() -> CheckState | None:
        state = again(lambda: runtime.ensure_check(check))
        assert state.phase in {CheckPhase.WAITING, CheckPhase.RUNNING}, state
        return state if state.phase is CheckPhase.WAITING else None

    state = until(look, what="the reason that the check waits for")
    assert state is not None
    return state


def test_a_check_without_a_node_waits_and_says_so_and_runs_when_there_is_one(
    runtime: Runtime, cluster: ClusterDouble
) -> None:
    cluster.script("echo done", "no_room")
    check = _check(timeout_seconds=5)
    state = _waiting(runtime, check)

    assert state.reason == "no node accepts its pod: 0/3 nodes are available: 3 Insufficient memory."
    assert (state.exit_code, state.log) == (None, "")
    cluster.script("echo done", "healthy")
    ended = finished(runtime, check)
    assert (ended.phase, ended.log) == (CheckPhase.PASSED, "done\n")


def test_a_check_that_the_quota_keeps_out_waits_and_says_so(runtime: Runtime, cluster: ClusterDouble) -> None:
    runtime.ensure_environment(SPACE)
    key = ("resourcequotas", SPACE.namespace, "aiworker")

    def allow(pods: str) -> None:
        with cluster.store.lock:
            cluster.store.update(key[0], cluster.store.objects[key], lambda one: one["spec"]["hard"].update(pods=pods))

    allow("0")
    check = _check()
    state = _waiting(runtime, check)
    assert "exceeded quota: aiworker, requested: pods=1, used: pods=0, limited: pods=0" in str(state.reason)
    assert state.code == "quota"
    # To ask makes nothing.
    assert (cluster.names("pods"), len(cluster.names("jobs"))) == ([], 1)

    allow("5")
    assert finished(runtime, check).phase is CheckPhase.PASSED


def _at(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).isoformat()


def _job(**condition: str) -> dict[str, Any]:
    return {"status": {"conditions": [{"status": "True", **condition}] if condition else []}}


def _pod(state: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {
        "spec": {"containers": [{}]},
        "status": {"containerStatuses": [{"name": "check", "state": state}], **status},
    }


RUNS_FOR_899 = _pod({"running": {"startedAt": _at(-899)}}, phase="Running")
RUNS_FOR_901 = _pod({"running": {"startedAt": _at(-901)}}, phase="Running")
PULLS = _pod({"waiting": {"reason": "ContainerCreating"}}, phase="Pending")
LATE = {"phase": "Failed", "reason": "DeadlineExceeded"}
KILLED_AFTER_901 = {"terminated": {"exitCode": 137, "startedAt": _at(-901), "finishedAt": _at(0)}}
KILLED_AFTER_60 = {"terminated": {"exitCode": 137, "startedAt": _at(-60), "finishedAt": _at(0)}}
GIVEN_UP = {"type": "Failed", "reason": "DeadlineExceeded", "message": "Job was active longer than specified deadline"}


@pytest.mark.parametrize(
    ("job", "pods", "phase", "words"),
    [
        (_job(), [], CheckPhase.RUNNING, None),
        (_job(), [PULLS], CheckPhase.RUNNING, None),
        (_job(), [RUNS_FOR_899], CheckPhase.RUNNING, None),
        (_job(), [RUNS_FOR_901], CheckPhase.FAILED, "it took longer than 900 s"),
        (_job(), [_pod(KILLED_AFTER_901, **LATE)], CheckPhase.FAILED, "it took longer than 900 s"),
        (_job(), [_pod(KILLED_AFTER_60, **LATE)], CheckPhase.BROKEN, "before the command's"),
        (_job(), [_pod({"waiting": {"reason": "PodInitializing"}}, **LATE)], CheckPhase.BROKEN, "DeadlineExceeded"),
        (_job(**GIVEN_UP), [], CheckPhase.BROKEN, "longer than specified deadline"),
    ],
)
def test_too_slow_is_only_what_had_its_time(
    job: dict[str, Any], pods: list[dict[str, Any]], phase: CheckPhase, words: str | None
) -> None:
    judged = judge_check(job, pods, timeout_seconds=900, now=NOW)

    assert judged.phase is phase
    assert (words is None and judged.reason is None) or str(words) in str(judged.reason)


FAILING = {"type": "FailureTarget", "reason": "BackoffLimitExceeded", "message": "Job has reached the backoff limit"}


def test_a_check_whose_reports_are_gone_with_its_pod_is_made_anew(runtime: Runtime, cluster: ClusterDouble) -> None:
    """As where no worker looked at it before its node was taken away. Without reports, lost tests would not be seen."""
    check = _check()
    runtime.ensure_check(check)
    assert finished(runtime, check).phase is CheckPhase.PASSED
    (pod,) = cluster.names("pods", SPACE.namespace)
    cluster.store.remove("pods", SPACE.namespace, pod)
    state = runtime.read_check(SPACE, "c")

    assert state is not None
    assert (state.phase, state.exit_code) == (CheckPhase.BROKEN, None)
    assert state.reason == "its pod is gone, and with it what its tests reported"
    with pytest.raises(ProviderUnavailable, match="its pod is gone"):
        run_check(runtime, check)
    until(lambda: again(lambda: run_check(runtime, check)).phase is CheckPhase.PASSED)


def test_what_reads_the_reports_has_no_secret_and_can_write_nothing(runtime: Runtime, cluster: ClusterDouble) -> None:
    check = _check(test_report="reports/*.xml")
    runtime.ensure_check(check)
    finished(runtime, check)
    (job,) = cluster.store.all("jobs")
    spec = job["spec"]["template"]["spec"]
    checkout, reports = spec["initContainers"]
    (main,) = spec["containers"]

    assert reports["restartPolicy"] == "Always"
    assert "envFrom" not in reports
    assert {(one["name"], one["readOnly"]) for one in reports["volumeMounts"]} == {
        ("workspace", True), ("tmp", True), ("reports", True),
    }  # fmt: skip
    assert [one["readOnly"] for one in main["volumeMounts"] if one["name"] == "reports"] == [True]
    assert checkout["command"][-3:] == ["/reports", "--check-command=echo done", "--test-report=reports/*.xml"]
    assert reports["image"] == "registry.test/aiworker:1"
