"""Previews have a quota of their own: as many as there may be leave staging, production and tests all of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.providers.runtime import Runtime
from common.values.delivery.app import App
from tests.doubles.kubernetes import ClusterDouble
from tests.providers.runtime_cluster import SPACE, STAGING, runtime_on, version


@pytest.fixture
def runtime(cluster: ClusterDouble, tmp_path: Path) -> Iterator[Runtime]:
    with runtime_on(cluster, tmp_path) as running:
        yield running


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
