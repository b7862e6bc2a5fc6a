"""Previews have a quota of their own: as many as there may be leave staging, production and tests all of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.providers.runtime import Runtime
from common.settings import MOST_PREVIEWS
from common.values.delivery.app import App, AppPhase
from common.values.testing.check import CheckPhase
from tests.doubles.kubernetes import ClusterDouble
from tests.providers.runtime_cluster import PRODUCTION, SPACE, STAGING, runtime_on, version
from tests.providers.runtime_contract import check_of, finished, settled


@pytest.fixture
def runtime(cluster: ClusterDouble, tmp_path: Path) -> Iterator[Runtime]:
    with runtime_on(cluster, tmp_path) as running:
        yield running


@pytest.mark.slow
def test_all_previews_leave_the_environments_and_the_tests_their_room(runtime: Runtime, cluster: ClusterDouble) -> None:
    previews = [App(SPACE, f"task-{number:08x}") for number in range(MOST_PREVIEWS)]
    for preview in previews:
        runtime.ensure_app(preview, version("v1"))
    for preview in previews:
        assert settled(runtime, preview, "v1").phase is AppPhase.LIVE

    # As much as the quota for everything else is: four replicas each, twice in a rollout, and tests beside them.
    for app in (STAGING, PRODUCTION):
        runtime.ensure_app(app, version("v1", replicas=4))
        assert settled(runtime, app, "v1").phase is AppPhase.LIVE
        runtime.ensure_app(app, version("v2", replicas=4))
        assert settled(runtime, app, "v2").phase is AppPhase.LIVE
    checks = [check_of(version("v1"), SPACE, f"c{number}", "true") for number in range(4)]
    for check in checks:
        runtime.ensure_check(check)
    assert {finished(runtime, check).phase for check in checks} == {CheckPhase.PASSED}


def test_a_preview_asks_for_less_than_what_people_depend_on(runtime: Runtime, cluster: ClusterDouble) -> None:
    def made(app: App) -> dict[str, Any]:
        runtime.ensure_app(app, version("v1", replicas=3))
        found = cluster.object("deployments", SPACE.namespace, app.name)["spec"]
        resources = found["template"]["spec"]["containers"][0]["resources"]
        return {"replicas": found["replicas"], "cpu": resources["limits"]["cpu"], **resources["requests"]}

    assert made(App(SPACE, "task-0000beef")) == {
        "replicas": 1, "cpu": "500m", "memory": "32Mi", "ephemeral-storage": "0",
    } | {"cpu": "5m"}  # fmt: skip
    assert made(STAGING) == {"replicas": 3, "cpu": "10m", "memory": "64Mi", "ephemeral-storage": "0"}
