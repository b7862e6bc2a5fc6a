"""The pods of a project that needs databases and a setup command: their containers, and what their statuses mean."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from common.providers.runtime.cluster.runtime import KubernetesRuntime
from common.providers.runtime.cluster_objects.reasons import judge_check
from common.values.delivery.app import App
from common.values.needs import Needs, ServiceKind, ServiceNeed
from common.values.testing.check import CheckEnd, CheckPhase
from common.values.variable_set import Variables
from tests.doubles.kubernetes import ClusterDouble
from tests.providers.runtime_cluster import SPACE, runtime_on, version
from tests.providers.runtime_contract import with_spec

PREVIEW = App(SPACE, "task-1")
NEEDS = Needs("npm ci", services=tuple(ServiceNeed(kind) for kind in ServiceKind))


@pytest.fixture
def runtime(cluster: ClusterDouble, tmp_path: Path) -> Iterator[KubernetesRuntime]:
    with runtime_on(cluster, tmp_path) as running:
        running.ensure_environment(SPACE)
        yield running


def _pod_spec(cluster: ClusterDouble) -> dict[str, Any]:
    spec: dict[str, Any] = cluster.object("deployments", SPACE.namespace, "task-1")["spec"]["template"]["spec"]
    return spec


def test_databases_run_before_the_setup_command_and_beside_the_app(
    cluster: ClusterDouble, runtime: KubernetesRuntime
) -> None:
    runtime.ensure_app(PREVIEW, with_spec(version("v1"), needs=NEEDS))
    spec = _pod_spec(cluster)

    names = [one["name"] for one in spec["initContainers"]]
    assert names == ["checkout", "service-postgresql", "service-mariadb", "service-redis", "setup"]
    assert [one["image"] for one in spec["initContainers"][1:4]] == ["postgres:17", "mariadb:11", "redis:8"]
    for sidecar in spec["initContainers"][1:4]:
        assert sidecar["restartPolicy"] == "Always"
        assert sidecar["securityContext"]["readOnlyRootFilesystem"]
        assert "127.0.0.1" in sidecar["command"][-1]
        assert {mount["name"] for mount in sidecar["volumeMounts"]} <= {one["name"] for one in spec["volumes"]}
        # It gets neither the project's variables nor its code.
        assert "envFrom" not in sidecar
    setup, app = spec["initContainers"][-1], spec["containers"][0]
    assert (setup["image"], setup["envFrom"], setup["command"][-1]) == (app["image"], app["envFrom"], "npm ci")
    assert "readinessProbe" not in setup


def test_the_app_is_given_the_password_of_its_sidecar_unless_the_project_has_another(
    cluster: ClusterDouble, runtime: KubernetesRuntime
) -> None:
    variables = Variables({"REDIS_URL": "redis://elsewhere"})
    runtime.ensure_app(PREVIEW, with_spec(version("v1"), needs=NEEDS, variables=variables))
    spec = _pod_spec(cluster)
    secret = cluster.object("secrets", SPACE.namespace, spec["containers"][0]["envFrom"][0]["secretRef"]["name"])
    environ = {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}
    passwords = {one["name"]: one["value"] for sidecar in spec["initContainers"][1:4] for one in sidecar["env"]}

    assert environ["PGPASSWORD"] == passwords["POSTGRES_PASSWORD"] != passwords["MARIADB_PASSWORD"]
    assert environ["DATABASE_URL"] == f"postgresql://app:{environ['PGPASSWORD']}@127.0.0.1:5432/app"
    assert environ["MYSQL_URL"] == f"mysql://app:{passwords['MARIADB_PASSWORD']}@127.0.0.1:3306/app"
    assert environ["REDIS_URL"] == "redis://elsewhere"


def _pod(*firsts: tuple[str, dict[str, Any]], main: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    made = [{"name": name, "image": "i", "restartCount": 0, "state": state} for name, state in firsts]
    waiting = {"waiting": {"reason": "PodInitializing"}}
    status["containerStatuses"] = [{"name": "check", "image": "i", "restartCount": 0, "state": main or waiting}]
    return {"spec": {"containers": [{}]}, "status": {"initContainerStatuses": made, **status}}


def _ended(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


@pytest.mark.parametrize(
    ("pod", "phase", "code", "words"),
    [
        (_pod(("setup", _ended(3, "ERR! x"))), CheckPhase.FAILED, CheckEnd.SETUP_FAILED, "exited with 3: ERR! x"),
        (_pod(("setup", _ended(124))), CheckPhase.FAILED, CheckEnd.SETUP_FAILED, "took longer than 900 s"),
        (_pod(("setup", _ended(137, reason="OOMKilled"))), CheckPhase.FAILED, CheckEnd.SETUP_FAILED, "more memory"),
        (_pod(("checkout", _ended(21, "no host"))), CheckPhase.BROKEN, None, "no host"),
        (_pod(("service-redis", _ended(1, "bad option"))), CheckPhase.BROKEN, "service_failed", "bad option"),
        (_pod(("setup", {"running": {}})), CheckPhase.RUNNING, None, ""),
    ],
)  # fmt: skip
def test_what_failed_before_the_check_is_told_apart(
    pod: dict[str, Any], phase: CheckPhase, code: str | None, words: str
) -> None:
    is_over = pod["status"].get("phase") == "Failed"
    job = {"status": {"conditions": [{"type": "Failed", "status": "True"}]} if is_over else {}}
    state = judge_check(job, [pod], timeout_seconds=60, now=datetime.now(UTC))

    assert (state.phase, state.code) == (phase, code)
    assert words in (state.reason or "")
