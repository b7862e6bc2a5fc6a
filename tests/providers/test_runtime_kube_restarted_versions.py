"""Versions that served before and are put back in a cluster: what they need may be there later than they."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.providers.runtime.cluster.runtime import KubernetesRuntime
from common.providers.runtime.cluster_objects import names
from common.values.delivery.app import AppPhase, AppState
from tests.doubles.kubernetes import ClusterDouble
from tests.providers.runtime_cluster import PRODUCTION, SPACE, runtime_on, version
from tests.providers.runtime_contract import settled, until


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
    runtime._cluster.delete(names.path("deployments", SPACE.namespace, "production"))
    _put_back(runtime, "v1")
    failed = settled(runtime, PRODUCTION, "v1")
    assert (failed.phase, failed.code) == (AppPhase.FAILED, "exited")
    assert _read(runtime).phase is AppPhase.FAILED

    cluster.script("registry.test/shop", "healthy")
    until(lambda: _read(runtime).phase is AppPhase.LIVE)
    state = _read(runtime)
    assert (state.live_version_id, state.code, state.reason) == ("v1", None, None)


WAYS = [("ingresses", "production"), ("services", "production"), ("networkpolicies", "app-production")]


def _delete(cluster: ClusterDouble, plural: str, name: str) -> dict[str, Any]:
    removed = cluster.object(plural, SPACE.namespace, name)
    cluster.store.remove(plural, SPACE.namespace, name)
    return removed


@pytest.mark.parametrize(("plural", "name"), WAYS)
def test_what_leads_to_a_live_app_is_put_back_as_it_was(
    runtime: KubernetesRuntime, cluster: ClusterDouble, tmp_path: Path, plural: str, name: str
) -> None:
    runtime.ensure_app(PRODUCTION, version("v1"))
    assert settled(runtime, PRODUCTION, "v1").phase is AppPhase.LIVE
    removed = _delete(cluster, plural, name)

    # Its address stays, although the next deployment gives it another one.
    with runtime_on(cluster, tmp_path, AIWORKER_KUBE_DOMAIN="moved.test", AIWORKER_KUBE_TLS="1") as later:
        assert _read(later).phase is AppPhase.LIVE
    found = cluster.object(plural, SPACE.namespace, name)
    assert found["spec"] == removed["spec"]
    assert found["metadata"]["labels"] == removed["metadata"]["labels"]


@pytest.mark.parametrize(("plural", "name"), [("networkpolicies", "aiworker"), ("resourcequotas", "aiworker")])
def test_limits_of_a_namespace_are_put_back_while_an_app_is_looked_at(
    runtime: KubernetesRuntime, cluster: ClusterDouble, tmp_path: Path, plural: str, name: str
) -> None:
    runtime.ensure_app(PRODUCTION, version("v1"))
    assert settled(runtime, PRODUCTION, "v1").phase is AppPhase.LIVE
    removed = _delete(cluster, plural, name)

    with runtime_on(cluster, tmp_path) as later:
        assert _read(later).phase is AppPhase.LIVE
    assert cluster.object(plural, SPACE.namespace, name)["spec"] == removed["spec"]
