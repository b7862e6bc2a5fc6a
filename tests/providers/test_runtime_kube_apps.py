"""What the kubernetes runtime makes of a project in a cluster, and what it says when a version does not come up."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.runtime import Runtime
from common.values.delivery.app import App, AppPhase, ProjectNamespace
from common.values.testing.check import CheckPhase
from common.values.variable_set import Variables
from tests.doubles.kubernetes import ClusterDouble
from tests.doubles.kubernetes.schemas import why_invalid
from tests.providers.runtime_cluster import PRODUCTION, SPACE, STAGING, runtime_on, version
from tests.providers.runtime_contract import check_of, finished, settled, until


@pytest.fixture
def runtime(cluster: ClusterDouble, tmp_path: Path) -> Iterator[Runtime]:
    with runtime_on(cluster, tmp_path) as running:
        yield running


def _pods(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one["spec"]["template"]["spec"] for one in manifests if "template" in one.get("spec", {})]


def _available(cluster: ClusterDouble) -> int:
    status: dict[str, int] = cluster.object("deployments", SPACE.namespace, "staging").get("status", {})
    return status.get("availableReplicas", 0)


def test_every_manifest_is_valid_and_no_container_has_more_than_it_needs(
    runtime: Runtime, cluster: ClusterDouble
) -> None:
    for app in (STAGING, PRODUCTION, App(SPACE, "task-0000beef")):
        runtime.ensure_app(app, version("v1", variables=Variables({"SECRET": "s3"}), replicas=2))
    runtime.ensure_check(check_of(version("v1"), SPACE, "c", "true"))

    whole = [one for one in cluster.sent if "spec" in one or "data" in one or one["kind"] == "Namespace"]
    kinds = "Namespace ResourceQuota LimitRange NetworkPolicy Secret Service Ingress Deployment Job"
    assert {one["kind"] for one in whole} == set(kinds.split())
    assert [reason for one in whole if (reason := why_invalid(one))] == []
    pods = _pods(whole)
    assert len(pods) == 4
    for pod in pods:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsUser"] > 0
        for container in pod["containers"] + pod["initContainers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"cpu", "memory", "ephemeral-storage"} == set(container["resources"]["limits"])
            # What is not asked for is asked for in full: no node would have the disk that all limits add up to.
            assert container["resources"]["requests"]["ephemeral-storage"] == "0"
        for container in pod["containers"]:
            assert "source" not in {mount["name"] for mount in container["volumeMounts"]}


def test_a_secret_is_in_a_secret_alone(runtime: Runtime, cluster: ClusterDouble) -> None:
    runtime.ensure_app(STAGING, version("v1", variables=Variables({"TOKEN": "very-secret"})))

    encoded = base64.b64encode(b"very-secret").decode()
    for manifest in cluster.sent:
        text = str(manifest)
        assert "very-secret" not in text
        assert "clone-password" not in text
        assert (encoded in text) <= (manifest["kind"] == "Secret")


def test_a_namespace_is_restricted_and_closed(runtime: Runtime, cluster: ClusterDouble) -> None:
    runtime.ensure_environment(SPACE)

    labels = cluster.object("namespaces", "", SPACE.namespace)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert labels["aiworker.dev/project-id"] == SPACE.project_id
    policy = cluster.object("networkpolicies", SPACE.namespace, "aiworker")["spec"]
    assert policy["podSelector"] == {}
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy
    assert cluster.object("serviceaccounts", SPACE.namespace, "default")["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("namespace", "app", "host"),
    [
        ("shop-0000beef", "task-1234abcd", "task-1234abcd.preview.apps.test"),
        ("shop-0000beef", "staging", "staging-shop.apps.test"),
        ("shop-0000beef", "production", "shop.apps.test"),
        ("staging-shop-0000beef", "production", "staging-shop-0000beef.apps.test"),
        ("preview-0000beef", "production", "preview-0000beef.apps.test"),
    ],
)
def test_every_app_has_a_host_that_no_other_has(runtime: Runtime, namespace: str, app: str, host: str) -> None:
    assert runtime.ensure_app(App(ProjectNamespace(namespace, "p"), app), version("v1")).url == f"http://{host}"


def test_a_foreign_namespace_is_refused_and_left_alone(runtime: Runtime, cluster: ClusterDouble) -> None:
    runtime.ensure_environment(ProjectNamespace(SPACE.namespace, "another-project"))
    before = cluster.object("namespaces", "", SPACE.namespace)

    for verb in (runtime.ensure_environment, runtime.delete_environment):
        with pytest.raises(ProviderRefused) as refused:
            verb(SPACE)
        assert refused.value.code == "foreign"
    with pytest.raises(ProviderRefused, match="does not belong to project"):
        runtime.ensure_app(STAGING, version("v1"))
    assert cluster.object("namespaces", "", SPACE.namespace) == before


def test_a_field_of_another_manager_is_never_taken(runtime: Runtime, cluster: ClusterDouble) -> None:
    runtime.ensure_environment(SPACE)
    key = ("resourcequotas", SPACE.namespace, "aiworker")
    with cluster.store.lock:
        cluster.store.owners[key] = {"kubectl": {("spec", "hard", "pods")}}
        cluster.store.update(*key[:1], cluster.store.objects[key], lambda one: one["spec"]["hard"].update(pods="7"))

    with pytest.raises(ProviderUnavailable, match="kubectl"):
        runtime.ensure_environment(SPACE)
    assert cluster.object(*key)["spec"]["hard"]["pods"] == "7"


def test_a_namespace_that_is_being_removed_is_waited_for(runtime: Runtime, cluster: ClusterDouble) -> None:
    runtime.ensure_app(STAGING, version("v1"))
    with cluster.standing_still():
        runtime.delete_environment(SPACE)
        with pytest.raises(ProviderUnavailable, match="being deleted"):
            runtime.ensure_app(STAGING, version("v1"))
    until(lambda: SPACE.namespace not in cluster.names("namespaces"))

    assert cluster.names("deployments") == cluster.names("secrets") == cluster.names("pods") == []
    runtime.ensure_app(STAGING, version("v1"))
    assert settled(runtime, STAGING, "v1").phase is AppPhase.LIVE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "how", "code", "words"),
    [
        ("image_pull", {"message": "manifest unknown"}, "image", "manifest unknown"),
        ("crash", {"exit_code": 4}, "exited", "exited with 4"),
        ("oom", {}, "memory", "more memory than its limit"),
        ("checkout", {"exit_code": 20, "message": "there is nothing to run: …"}, "nothing_to_run", "nothing to run"),
        ("quota", {}, "quota", "exceeded quota"),
        ("never_ready", {}, "unhealthy", "/ gave no healthy answer"),
    ],
)
def test_a_version_that_does_not_come_up_says_why(
    runtime: Runtime, cluster: ClusterDouble, kind: str, how: dict[str, Any], code: str, words: str
) -> None:
    cluster.script("registry.test/bad", kind, **how)
    runtime.ensure_app(STAGING, version("v1"))
    settled(runtime, STAGING, "v1")
    runtime.ensure_app(STAGING, version("v2", "registry.test/bad:2"))
    state = settled(runtime, STAGING, "v2")

    assert (state.phase, state.code, state.live_version_id) == (AppPhase.FAILED, code, "v1")
    assert words in str(state.reason)
    former = runtime.read_app(STAGING, "v1")
    assert former is not None
    assert former.phase is AppPhase.LIVE


def test_a_live_version_that_keeps_dying_is_failed(runtime: Runtime, cluster: ClusterDouble) -> None:
    runtime.ensure_app(STAGING, version("v1"))
    assert settled(runtime, STAGING, "v1").restarts == 0
    cluster.script("registry.test/shop", "oom")

    def dying() -> bool:
        state = runtime.read_app(STAGING, "v1")
        assert state is not None
        return state.code == "keeps_dying" and "memory" in str(state.reason) and state.restarts > 0

    until(dying)


def test_an_app_is_live_only_when_it_answers_through_the_ingress(runtime: Runtime, cluster: ClusterDouble) -> None:
    cluster.ingress_status = 503
    runtime.ensure_app(STAGING, version("v1"))
    until(lambda: _available(cluster) == 1)
    state = runtime.read_app(STAGING, "v1")

    assert state is not None
    assert (state.phase, state.live_version_id) == (AppPhase.STARTING, None)
    cluster.ingress_status = 404
    state = runtime.read_app(STAGING, "v1")
    assert state is not None
    assert state.phase is AppPhase.STARTING
    cluster.ingress_status = 200
    assert settled(runtime, STAGING, "v1").phase is AppPhase.LIVE


def test_production_runs_the_very_image_that_ran_on_staging(runtime: Runtime, cluster: ClusterDouble) -> None:
    runtime.ensure_app(STAGING, version("v1"))
    settled(runtime, STAGING, "v1")
    (pod,) = cluster.names("pods", SPACE.namespace)
    ran = cluster.object("pods", SPACE.namespace, pod)["status"]["containerStatuses"][0]["imageID"]
    runtime.ensure_app(PRODUCTION, version("v2"))
    made = cluster.object("deployments", SPACE.namespace, "production")

    assert ran.startswith("registry.test/shop@sha256:")
    assert made["spec"]["template"]["spec"]["containers"][0]["image"] == ran
    assert settled(runtime, STAGING, "v1").image == ran
    assert settled(runtime, PRODUCTION, "v2").phase is AppPhase.LIVE


def test_logs_are_those_of_one_version(runtime: Runtime, cluster: ClusterDouble) -> None:
    cluster.script("registry.test/shop:1", "healthy", log="one\ntwo\nthree\n")
    runtime.ensure_app(STAGING, version("v1"))
    settled(runtime, STAGING, "v1")

    lines = runtime.app_logs(STAGING, "v1")
    assert [line.text for line in lines] == ["one", "two", "three"]
    assert all(line.at for line in lines)
    assert [line.text for line in runtime.app_logs(STAGING, "v1", limit=2)] == ["two", "three"]
    assert runtime.app_logs(STAGING, "v0") == []


@pytest.mark.parametrize(
    ("kind", "how", "phase", "words"),
    [
        ("evicted", {}, CheckPhase.BROKEN, "Evicted"),
        ("checkout", {"exit_code": 21, "message": "not our ref"}, CheckPhase.BROKEN, "not our ref"),
        ("oom", {}, CheckPhase.FAILED, "more memory than its limit, 512Mi"),
        ("image_pull", {}, CheckPhase.BROKEN, "can't be fetched"),
    ],
)
def test_a_check_that_can_not_be_made_says_nothing_of_the_commit(
    runtime: Runtime, cluster: ClusterDouble, kind: str, how: dict[str, Any], phase: CheckPhase, words: str
) -> None:
    cluster.script("echo never", kind, **how)
    check = check_of(version("v1"), SPACE, "c", "echo never")
    runtime.ensure_check(check)
    state = finished(runtime, check)

    assert (state.phase, state.exit_code) == (phase, None)
    assert words in str(state.reason)


def test_where_readiness_is_enough_nobody_asks_the_app(cluster: ClusterDouble, tmp_path: Path) -> None:
    cluster.ingress_status = 503
    with runtime_on(cluster, tmp_path, AIWORKER_KUBE_HEALTH="readiness") as runtime:
        runtime.ensure_app(STAGING, version("v1"))
        assert settled(runtime, STAGING, "v1").phase is AppPhase.LIVE
