"""Versions that served before and are put back in a cluster: what they need may be there later than they."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.providers.runtime import places
from common.providers.runtime.cluster import KubernetesRuntime
from common.values.app import AppPhase, AppState
from tests.doubles.kubernetes import ClusterDouble
from tests.providers.runtime_cluster import PRODUCTION, runtime_on, version
from tests.providers.runtime_contract import settled, until


@pytest.fixture
def cluster() -> Iterator[ClusterDouble]:
    with ClusterDouble() as double:
        yield double


@pytest.fixture
def runtime(cluster: ClusterDouble, tmp_path: Path) -> Iterator[KubernetesRuntime]:
    with runtime_on(cluster, tmp_path) as running:
        yield running


def _put_back(runtime: KubernetesRuntime, version_id: str) -> None:
    runtime.ensure_app(PRODUCTION, replace(version(version_id), was_healthy=True))


def _read(runtime: KubernetesRuntime) -> AppState:
    state = runtime.read_app(PRODUCTION, "v1")
    assert state is not None
    return state


def test_a_version_that_is_put_back_and_fails_is_live_once_its_pods_are_ready(
    runtime: KubernetesRuntime, cluster: ClusterDouble
) -> None:
    runtime.ensure_app(PRODUCTION, version("v1"))
    assert settled(runtime, PRODUCTION, "v1").phase is AppPhase.LIVE
    cluster.script("registry.test/shop", "crash", exit_code=3)
    runtime._cluster.delete(places.path("deployments", PRODUCTION.space.namespace, "production"))
    _put_back(runtime, "v1")
    failed = settled(runtime, PRODUCTION, "v1")
    assert (failed.phase, failed.code) == (AppPhase.FAILED, "exited")
    assert _read(runtime).phase is AppPhase.FAILED

    cluster.script("registry.test/shop", "healthy")
    until(lambda: _read(runtime).phase is AppPhase.LIVE)
    state = _read(runtime)
    assert (state.live_version_id, state.code, state.reason) == ("v1", None, None)


def test_a_version_that_is_put_back_also_has_to_answer_through_the_ingress(
    runtime: KubernetesRuntime, cluster: ClusterDouble
) -> None:
    cluster.script("registry.test/shop", "crash", exit_code=3)
    _put_back(runtime, "v1")
    assert settled(runtime, PRODUCTION, "v1").phase is AppPhase.FAILED
    cluster.ingress_status = 503
    cluster.script("registry.test/shop", "healthy")
    until(lambda: _is_available(cluster))
    assert _read(runtime).phase is AppPhase.FAILED

    cluster.ingress_status = 200
    assert _read(runtime).phase is AppPhase.LIVE


def test_a_version_that_never_served_keeps_its_verdict(runtime: KubernetesRuntime, cluster: ClusterDouble) -> None:
    """Its deployment has failed: what the environment serves is put back, and this one stays failed."""
    cluster.script("registry.test/shop", "crash", exit_code=3)
    runtime.ensure_app(PRODUCTION, version("v1"))
    failed = settled(runtime, PRODUCTION, "v1")
    cluster.script("registry.test/shop", "healthy")
    until(lambda: _is_available(cluster))

    state = _read(runtime)
    assert (state.phase, state.code, state.reason) == (AppPhase.FAILED, failed.code, failed.reason)


def test_a_new_version_after_one_that_was_put_back_keeps_its_verdict(
    runtime: KubernetesRuntime, cluster: ClusterDouble
) -> None:
    _put_back(runtime, "v0")
    assert settled(runtime, PRODUCTION, "v0").phase is AppPhase.LIVE
    cluster.script("registry.test/shop", "crash", exit_code=3)
    runtime.ensure_app(PRODUCTION, version("v1", start_seconds=2))
    assert settled(runtime, PRODUCTION, "v1").phase is AppPhase.FAILED
    cluster.script("registry.test/shop", "healthy")
    until(lambda: _is_available(cluster))

    assert _read(runtime).phase is AppPhase.FAILED


def _is_available(cluster: ClusterDouble) -> bool:
    found = cluster.object("deployments", PRODUCTION.space.namespace, "production")
    status: dict[str, int] = found.get("status", {})
    return status.get("updatedReplicas") == status.get("availableReplicas") == status.get("replicas") == 1
