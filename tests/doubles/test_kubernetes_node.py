"""The nodes of the cluster double: one runs what a pod says, the other only says that all is well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from common.providers.runtime import Runtime
from common.providers.runtime.cluster.runtime import KubernetesRuntime
from common.values.delivery.app import App, AppPhase, AppState, Version
from common.values.repository import Source
from common.values.testing.check import Check, CheckPhase, CheckState
from tests.doubles.kubernetes import ClusterDouble
from tests.doubles.kubernetes.node import ProcessNode, SimulatedNode
from tests.e2e.instance import wait_until
from tests.e2e.origin import served_repository
from tests.providers.git_work_tree import git
from tests.providers.runtime_cluster import PRODUCTION, SPACE, STAGING, runtime_on


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[tuple[Source, str]]:
    """A repository over HTTP, and its head."""
    with served_repository(tmp_path) as address:
        yield Source(address), git("rev-parse", "HEAD", at=tmp_path / "origin")


@pytest.fixture
def cluster() -> Iterator[ClusterDouble]:
    with ClusterDouble(speed=20, node=ProcessNode()) as double:
        yield double


@pytest.fixture
def runtime(cluster: ClusterDouble, tmp_path: Path) -> Iterator[KubernetesRuntime]:
    with runtime_on(cluster, tmp_path) as made:
        made.ensure_environment(SPACE)
        yield made


def settled(runtime: Runtime, app: App, version: Version) -> AppState:
    found: list[AppState] = []

    def is_settled() -> bool:
        found.append(runtime.ensure_app(app, version))
        return found[-1].phase is not AppPhase.STARTING

    wait_until("the version to be live or to fail", is_settled)
    return found[-1]


def checked(runtime: Runtime, check: Check) -> CheckState:
    wait_until("the check to end", lambda: runtime.ensure_check(check).phase is not CheckPhase.RUNNING)
    return runtime.ensure_check(check)


def test_an_app_answers_behind_the_ingress_until_it_is_deleted(
    cluster: ClusterDouble, runtime: KubernetesRuntime, origin: tuple[Source, str]
) -> None:
    source, head = origin
    state = settled(runtime, STAGING, Version("v1", head, source, start_seconds=600))

    def answer() -> tuple[int, str]:
        reply = requests.get(cluster.url, headers={"Host": "staging-shop.apps.test"}, timeout=60)
        return reply.status_code, reply.text

    assert (state.phase, state.reason) == (AppPhase.LIVE, None)
    assert answer() == (200, "hello\n")

    runtime.delete_app(STAGING)
    wait_until("its pod to go", lambda: cluster.names("pods") == [])
    assert answer()[0] == 404


def test_on_simulated_nodes_all_is_well_and_nobody_is_asked(tmp_path: Path) -> None:
    with (
        ClusterDouble(node=SimulatedNode()) as cluster,
        runtime_on(cluster, tmp_path, AIWORKER_KUBE_HEALTH="readiness") as runtime,
    ):
        source = Source("http://forge.test/shop.git")
        state = settled(runtime, STAGING, Version("v1", "1" * 40, source))
        check = checked(runtime, Check(SPACE, "check-1", "1" * 40, "exit 4", source))

        assert (state.phase, check.phase, check.log) == (AppPhase.LIVE, CheckPhase.PASSED, "")
        assert runtime.app_logs(STAGING, "v1") == []
        again = Version("v2", "1" * 40, source)
        assert settled(runtime, PRODUCTION, again).phase is AppPhase.LIVE
        # Nothing was fetched, so no node says what the image's name means: it stands as it was asked for.
        image = cluster.object("deployments", SPACE.namespace, "production")["spec"]["template"]["spec"]["containers"][
            0
        ]
        assert image["image"] == "registry.test/aiworker:1"
