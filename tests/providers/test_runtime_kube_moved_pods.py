"""Pods that the cluster moves: a live version is not blamed for what its next pod waits for."""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.providers.runtime import places
from common.providers.runtime.cluster import KubernetesRuntime
from common.values.app import AppPhase, AppState
from common.values.repository import Source
from tests.doubles.kubernetes import ClusterDouble
from tests.providers.runtime_cluster import PRODUCTION, SPACE, runtime_on, version
from tests.providers.runtime_contract import settled, until


@pytest.fixture
def runtime(cluster: ClusterDouble, tmp_path: Path) -> Iterator[KubernetesRuntime]:
    """With a live version, v1."""
    with runtime_on(cluster, tmp_path) as running:
        running.ensure_app(PRODUCTION, version("v1"))
        assert settled(running, PRODUCTION, "v1").phase is AppPhase.LIVE
        yield running


def _read(runtime: KubernetesRuntime) -> AppState:
    state = runtime.read_app(PRODUCTION, "v1")
    assert state is not None
    return state


@pytest.mark.parametrize(
    ("kind", "how", "code", "words"),
    [
        ("checkout", {"exit_code": 21, "message": "returned error: 503"}, "checkout_failed", "returned error: 503"),
        ("image_pull", {"message": "toomanyrequests: pull rate limit"}, "image", "toomanyrequests"),
        ("config", {"message": "timed out waiting for the cache"}, "config", "timed out waiting"),
        ("no_room", {}, "no_room", "Insufficient memory"),
    ],
)
def test_a_live_version_whose_new_pod_can_not_start_yet_is_waited_for(
    runtime: KubernetesRuntime, cluster: ClusterDouble, kind: str, how: dict[str, Any], code: str, words: str
) -> None:
    cluster.script("registry.test/shop", kind, **how)
    (pod,) = cluster.names("pods", SPACE.namespace)
    runtime._cluster.delete(places.path("pods", SPACE.namespace, pod))

    until(lambda: _read(runtime).code is not None)
    state = _read(runtime)
    assert (state.phase, state.code) == (AppPhase.STARTING, code)
    assert words in str(state.reason)
    cluster.script("registry.test/shop", "healthy")
    until(lambda: _read(runtime).phase is AppPhase.LIVE)


NEW = Source("http://forge.test/shop.git", "aiworker", "another password")


def _source_password(cluster: ClusterDouble) -> str:
    name = places.source_secret("production", "v2")
    return base64.b64decode(cluster.object("secrets", SPACE.namespace, name)["data"]["password"]).decode()


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_new_pod_that_can_not_check_out_gets_the_present_credential(
    runtime: KubernetesRuntime, cluster: ClusterDouble, replicas: int
) -> None:
    """The platform's token was renewed since the version was deployed."""
    runtime.ensure_app(PRODUCTION, version("v2", replicas=replicas))
    assert settled(runtime, PRODUCTION, "v2").phase is AppPhase.LIVE
    renewed = replace(version("v2", replicas=replicas), source=NEW, was_healthy=True)
    runtime.ensure_app(PRODUCTION, renewed)
    assert _source_password(cluster) == "clone-password"

    cluster.script("registry.test/shop", "checkout", exit_code=21, message="Authentication failed")
    pod = cluster.names("pods", SPACE.namespace)[0]
    runtime._cluster.delete(places.path("pods", SPACE.namespace, pod))
    until(lambda: _code_of(runtime, "v2") == "checkout_failed")
    runtime.ensure_app(PRODUCTION, renewed)

    assert _source_password(cluster) == "another password"


def _code_of(runtime: KubernetesRuntime, version_id: str) -> str | None:
    state = runtime.read_app(PRODUCTION, version_id)
    return None if state is None else state.code


def test_a_new_pod_whose_secret_was_deleted_gets_it_again(runtime: KubernetesRuntime, cluster: ClusterDouble) -> None:
    cluster.script("registry.test/shop", "config", message='secret "production-env" not found')
    before = cluster.names("secrets", SPACE.namespace)
    for name in before:
        cluster.store.remove("secrets", SPACE.namespace, name)
    (pod,) = cluster.names("pods", SPACE.namespace)
    runtime._cluster.delete(places.path("pods", SPACE.namespace, pod))
    until(lambda: _code_of(runtime, "v1") == "config")

    runtime.ensure_app(PRODUCTION, version("v1"))

    assert cluster.names("secrets", SPACE.namespace) == before


def _leave_evicted_pod(cluster: ClusterDouble, version_id: str) -> None:
    """A pod that was evicted in its checkout stays listed until the cluster collects it."""
    pods = [cluster.object("pods", SPACE.namespace, name) for name in cluster.names("pods", SPACE.namespace)]
    pod = copy.deepcopy(next(one for one in pods if one["metadata"]["labels"][places.VERSION] == version_id))
    ended = {"name": "checkout", "restartCount": 0, "state": {"terminated": {"exitCode": 137, "reason": "Error"}}}
    waiting = {"name": "app", "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}}
    pod["metadata"] = {**pod["metadata"], "name": "evicted", "ownerReferences": []}
    pod["metadata"].pop("uid")
    status = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
    with cluster.store.lock:
        left = cluster.store.put("pods", pod)
        cluster.controllers.frozen.add(left["metadata"]["uid"])
        cluster.store.report(
            "pods", left, status | {"initContainerStatuses": [ended], "containerStatuses": [waiting], "conditions": []}
        )


def test_an_evicted_pod_does_not_fail_the_version_whose_next_pod_is_not_ready(
    runtime: KubernetesRuntime, cluster: ClusterDouble
) -> None:
    _leave_evicted_pod(cluster, "v1")
    cluster.script("registry.test/shop", "never_ready")
    until(lambda: _read(runtime).phase is not AppPhase.LIVE)

    state = _read(runtime)
    assert (state.phase, state.code) == (AppPhase.STARTING, None)


def test_a_live_version_that_hangs_says_so_and_what_helps(runtime: KubernetesRuntime, cluster: ClusterDouble) -> None:
    cluster.script("registry.test/shop", "never_ready")
    until(lambda: _read(runtime).phase is not AppPhase.LIVE)

    state = _read(runtime)
    assert (state.phase, state.code) == (AppPhase.STARTING, None)
    assert state.reason == (
        "it runs, but / gives no healthy answer; the cluster restarts only what ends, so roll it back if that stays so"
    )


@pytest.mark.slow
def test_a_live_version_that_somebody_scaled_to_0_says_so(runtime: KubernetesRuntime, cluster: ClusterDouble) -> None:
    with cluster.store.lock:
        deployment = cluster.object("deployments", SPACE.namespace, "production")
        cluster.store.put("deployments", deployment | {"spec": deployment["spec"] | {"replicas": 0}})
    until(lambda: cluster.names("pods", SPACE.namespace) == [])

    state = _read(runtime)
    assert (state.phase, state.reason) == (
        AppPhase.STARTING, "its Deployment was scaled to 0 in the cluster: scale it up there",
    )  # fmt: skip


def test_a_rollout_goes_on_after_one_of_its_pods_was_evicted(
    runtime: KubernetesRuntime, cluster: ClusterDouble
) -> None:
    cluster.script("registry.test/slow", "never_ready")
    runtime.ensure_app(PRODUCTION, version("v2", "registry.test/slow:1", start_seconds=600))
    until(lambda: len(cluster.names("pods", SPACE.namespace)) == 2)
    _leave_evicted_pod(cluster, "v2")
    state = runtime.ensure_app(PRODUCTION, version("v2", "registry.test/slow:1", start_seconds=600))
    assert (state.phase, state.code) == (AppPhase.STARTING, None)

    cluster.script("registry.test/slow", "healthy")
    assert settled(runtime, PRODUCTION, "v2").phase is AppPhase.LIVE
