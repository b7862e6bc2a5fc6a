"""A cluster whose clock is not the platform's: what has its time there is measured by the cluster's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from common.providers.runtime import Runtime
from common.values.app import AppPhase
from common.values.check import CheckPhase
from tests.doubles.kubernetes import ClusterDouble
from tests.doubles.kubernetes.store import CLOCK
from tests.providers.runtime_cluster import SPACE, STAGING, runtime_on, version
from tests.providers.runtime_contract import check_of, finished, settled, until

HOUR = timedelta(hours=1)


@pytest.fixture(params=[-HOUR, HOUR], ids=["behind", "ahead"])
def runtime(cluster: ClusterDouble, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Runtime]:
    CLOCK.ahead = request.param
    try:
        with runtime_on(cluster, tmp_path) as running:
            yield running
    finally:
        CLOCK.ahead = timedelta()


def test_a_check_has_its_whole_time(runtime: Runtime) -> None:
    check = replace(check_of(version("v1"), SPACE, "c", "sleep 0.5"), timeout_seconds=60)
    runtime.ensure_check(check)

    assert finished(runtime, check).phase is CheckPhase.PASSED


@pytest.mark.slow
def test_a_check_has_no_more_than_its_time(runtime: Runtime) -> None:
    check = replace(check_of(version("v1"), SPACE, "c", "sleep 600"), timeout_seconds=2)
    runtime.ensure_check(check)
    state = finished(runtime, check)

    assert (state.phase, state.reason) == (CheckPhase.FAILED, "it took longer than 2 s")


def test_an_app_has_its_time_to_answer_through_the_ingress(runtime: Runtime, cluster: ClusterDouble) -> None:
    cluster.ingress_status = 503
    runtime.ensure_app(STAGING, version("v1"))
    until(lambda: cluster.object("deployments", SPACE.namespace, "staging").get("status", {}).get("availableReplicas"))
    state = runtime.ensure_app(STAGING, version("v1"))
    assert state.phase is AppPhase.STARTING, state
    cluster.ingress_status = 200

    assert settled(runtime, STAGING, "v1").phase is AppPhase.LIVE
