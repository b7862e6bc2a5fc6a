"""A cluster that denies access: for a moment, because it has only just been started, or for good."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import AccessDenied, ProviderUnavailable
from common.providers.runtime import Runtime
from common.values.delivery.app import AppPhase
from tests.doubles.kubernetes import ClusterDouble
from tests.providers.runtime_cluster import SPACE, STAGING, runtime_on, version
from tests.providers.runtime_contract import settled


@pytest.fixture
def runtime(cluster: ClusterDouble, tmp_path: Path) -> Iterator[Runtime]:
    with runtime_on(cluster, tmp_path) as running:
        yield running


def test_a_server_that_is_starting_denies_everything_and_is_asked_again(
    runtime: Runtime, cluster: ClusterDouble
) -> None:
    cluster.access.is_cold = True
    with pytest.raises(AccessDenied, match=r"403.*cannot get resource \"namespaces\".*aiworker doctor") as denied:
        runtime.ensure_app(STAGING, version("v1"))
    assert denied.value.is_granted is False
    cluster.access.is_cold = False
    runtime.ensure_app(STAGING, version("v1"))

    assert settled(runtime, STAGING, "v1").phase is AppPhase.LIVE


@pytest.mark.parametrize(("lacking", "is_granted"), [("patch", False), ("create", False), ("delete", True)])
def test_the_server_is_asked_whether_the_right_is_there(
    runtime: Runtime, cluster: ClusterDouble, lacking: str, is_granted: bool
) -> None:
    # Server-side apply takes the rights to patch and to create; what denies it here is no matter of rights.
    cluster.access.denied = {(lacking, "resourcequotas")}
    cluster.faults.add("PATCH .*/resourcequotas/", "403", nth=0)
    with pytest.raises(AccessDenied) as denied:
        runtime.ensure_environment(SPACE)

    assert denied.value.is_granted is is_granted
    assert any(one.startswith("POST /apis/authorization.k8s.io/") for one in cluster.requests)


def test_a_server_that_is_not_ready_to_admit_is_only_unavailable(runtime: Runtime, cluster: ClusterDouble) -> None:
    cluster.faults.add("PATCH .*/resourcequotas/", "not_ready")
    with pytest.raises(ProviderUnavailable, match="not yet ready") as refused:
        runtime.ensure_environment(SPACE)
    assert not isinstance(refused.value, AccessDenied)
    runtime.ensure_environment(SPACE)
