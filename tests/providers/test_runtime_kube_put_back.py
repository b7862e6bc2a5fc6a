"""Versions that served before and are put back in a cluster: what they need may be there later than they."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.providers.runtime import places
from common.providers.runtime.cluster import KubernetesRuntime
from common.providers.runtime.kube import Cluster
from common.values.app import AppPhase, AppState
from tests.doubles.kubernetes import ClusterDouble
from tests.providers.runtime_cluster import PRODUCTION, SPACE, runtime_on, settings_for, version
from tests.providers.runtime_contract import check_of, settled, until


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
    runtime._cluster.delete(places.path("deployments", SPACE.namespace, "production"))
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
    found = cluster.object("deployments", SPACE.namespace, "production")
    status: dict[str, int] = found.get("status", {})
    return status.get("updatedReplicas") == status.get("availableReplicas") == status.get("replicas") == 1


OWN_RULES = [{"host": "own.test"}]
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


LIMITS = [
    ("networkpolicies", "aiworker"), ("networkpolicies", "aiworker-public"), ("networkpolicies", "aiworker-proxy"),
    ("resourcequotas", "aiworker"), ("limitranges", "aiworker"),
]  # fmt: skip


@pytest.mark.parametrize(("plural", "name"), LIMITS)
def test_limits_of_a_namespace_are_put_back_while_an_app_is_looked_at(
    runtime: KubernetesRuntime, cluster: ClusterDouble, tmp_path: Path, plural: str, name: str
) -> None:
    runtime.ensure_app(PRODUCTION, version("v1"))
    assert settled(runtime, PRODUCTION, "v1").phase is AppPhase.LIVE
    removed = _delete(cluster, plural, name)

    with runtime_on(cluster, tmp_path) as later:
        assert _read(later).phase is AppPhase.LIVE
    assert cluster.object(plural, SPACE.namespace, name)["spec"] == removed["spec"]


def test_limits_of_a_namespace_are_put_back_before_a_deployment_and_before_a_check(
    runtime: KubernetesRuntime, cluster: ClusterDouble, tmp_path: Path
) -> None:
    runtime.ensure_environment(SPACE)
    removed = _delete(cluster, "networkpolicies", "aiworker")
    with runtime_on(cluster, tmp_path) as later:
        later.ensure_app(PRODUCTION, version("v1"))
    assert cluster.object("networkpolicies", SPACE.namespace, "aiworker")["spec"] == removed["spec"]

    _delete(cluster, "networkpolicies", "aiworker")
    with runtime_on(cluster, tmp_path) as later:
        later.ensure_check(check_of(version("v1"), SPACE, "c", "true"))
    assert cluster.object("networkpolicies", SPACE.namespace, "aiworker")["spec"] == removed["spec"]


def test_limits_that_people_changed_stay(runtime: KubernetesRuntime, cluster: ClusterDouble, tmp_path: Path) -> None:
    runtime.ensure_environment(SPACE)
    key = ("resourcequotas", SPACE.namespace, "aiworker")
    with cluster.store.lock:
        cluster.store.update(key[0], cluster.store.objects[key], lambda one: one["spec"]["hard"].update(pods="99"))

    with runtime_on(cluster, tmp_path) as later:
        later.ensure_app(PRODUCTION, version("v1"))
    assert cluster.object(*key)["spec"]["hard"]["pods"] == "99"


def test_what_leads_to_a_live_app_is_left_alone_while_it_is_there(
    runtime: KubernetesRuntime, cluster: ClusterDouble, tmp_path: Path
) -> None:
    """What people changed stays, and an app is not looked at each time: the API server is asked for nothing new."""
    runtime.ensure_app(PRODUCTION, version("v1"))
    assert settled(runtime, PRODUCTION, "v1").phase is AppPhase.LIVE
    key = ("ingresses", SPACE.namespace, "production")
    with cluster.store.lock:
        cluster.store.update(key[0], cluster.store.objects[key], lambda one: one["spec"].update(ingressClassName="own"))
    before = [cluster.object(plural, SPACE.namespace, name) for plural, name in WAYS]
    with runtime_on(cluster, tmp_path) as later:
        _read(later)
        asked = len(cluster.requests)
        _read(later)

    assert [cluster.object(plural, SPACE.namespace, name) for plural, name in WAYS] == before
    assert [one for one in cluster.requests[asked:] if not one.startswith("GET")] == []


def test_a_cluster_that_tells_nothing_about_them_keeps_no_app_from_being_looked_at(
    runtime: KubernetesRuntime, cluster: ClusterDouble, tmp_path: Path
) -> None:
    runtime.ensure_app(PRODUCTION, version("v1"))
    assert settled(runtime, PRODUCTION, "v1").phase is AppPhase.LIVE
    cluster.faults.add(r"POST .*dryRun=All", "422", nth=0)
    _delete(cluster, *WAYS[0])

    with runtime_on(cluster, tmp_path) as later:
        assert _read(later).phase is AppPhase.LIVE


@pytest.mark.parametrize(("plural", "name"), WAYS)
def test_what_leads_to_a_live_app_is_put_back_where_no_dry_run_is_possible(
    runtime: KubernetesRuntime, cluster: ClusterDouble, tmp_path: Path, plural: str, name: str
) -> None:
    """A webhook of before Kubernetes 1.22 may be one that takes no dry run: the API refuses each."""
    runtime.ensure_app(PRODUCTION, version("v1"))
    assert settled(runtime, PRODUCTION, "v1").phase is AppPhase.LIVE
    cluster.faults.add(r"POST .*dryRun=All", "no_dry_run", nth=0)
    removed = _delete(cluster, plural, name)

    with runtime_on(cluster, tmp_path) as later:
        assert _read(later).phase is AppPhase.LIVE
    assert cluster.object(plural, SPACE.namespace, name)["spec"] == removed["spec"]


def test_what_people_changed_stays_also_where_no_dry_run_is_possible(
    runtime: KubernetesRuntime, cluster: ClusterDouble, tmp_path: Path
) -> None:
    runtime.ensure_app(PRODUCTION, version("v1"))
    assert settled(runtime, PRODUCTION, "v1").phase is AppPhase.LIVE
    cluster.faults.add(r"POST .*dryRun=All", "no_dry_run", nth=0)
    key = ("ingresses", SPACE.namespace, "production")
    with cluster.store.lock:
        cluster.store.update(key[0], cluster.store.objects[key], lambda one: one["spec"].update(rules=OWN_RULES))
        # As after `kubectl edit`, the field is the operator's.
        cluster.store.owners[key] = {"aiworker": set(), "kubectl-edit": {("spec", "rules")}}

    with runtime_on(cluster, tmp_path) as later:
        assert _read(later).phase is AppPhase.LIVE
    assert cluster.object(*key)["spec"]["rules"] == OWN_RULES


class _Meanwhile:
    """A client of the cluster that does something of its own before the first object is applied."""

    def __init__(self, cluster: Cluster, then: Callable[[], None]) -> None:
        self._cluster = cluster
        self._then: list[Callable[[], None]] = [then]

    def __getattr__(self, name: str) -> Any:
        if name == "apply" and self._then:
            self._then.pop()()
        return getattr(self._cluster, name)


def test_nothing_is_left_of_an_app_that_is_deleted_while_it_is_looked_at(
    runtime: KubernetesRuntime, cluster: ClusterDouble, tmp_path: Path
) -> None:
    runtime.ensure_app(PRODUCTION, version("v1"))
    assert settled(runtime, PRODUCTION, "v1").phase is AppPhase.LIVE
    _delete(cluster, *WAYS[0])
    meanwhile: Any = _Meanwhile(runtime._cluster, lambda: runtime.delete_app(PRODUCTION))
    looking = KubernetesRuntime(settings_for(cluster, tmp_path), instance="test", cluster=meanwhile)

    assert looking.read_app(PRODUCTION, "v1") is None
    assert [cluster.names(plural, SPACE.namespace) for plural in ("deployments", "ingresses", "services")] == [[]] * 3
