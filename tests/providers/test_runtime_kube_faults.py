"""A cluster that fails: every call once before and once after it took effect, and what is made of each refusal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.runtime import Runtime
from common.values.delivery.app import AppPhase, AppState
from common.values.testing.check import CheckPhase, CheckState
from tests.doubles.kubernetes import ClusterDouble
from tests.providers.runtime_cluster import SPACE, STAGING, again, runtime_on, version
from tests.providers.runtime_contract import check_of, until


@pytest.fixture
def runtime(cluster: ClusterDouble, tmp_path: Path) -> Iterator[Runtime]:
    with runtime_on(cluster, tmp_path) as running:
        yield running


def _live(runtime: Runtime, version_id: str) -> None:
    def look() -> bool:
        state: AppState = again(lambda: runtime.ensure_app(STAGING, version(version_id)))
        return state.phase is AppPhase.LIVE and state.live_version_id == version_id

    until(look, what=f"{version_id} being live")


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["apply_then_500", "reset", "409", "page"])
def test_each_call_may_fail_once(runtime: Runtime, cluster: ClusterDouble, fault: str) -> None:
    # A page in place of a log can't be told from a log.
    cluster.faults.add_for_each("PATCH|POST|DELETE" if fault == "page" else "", fault)
    check = check_of(version("v1"), SPACE, "c", "echo once")

    def look() -> CheckState | None:
        state = again(lambda: runtime.ensure_check(check))
        return None if state.phase is CheckPhase.RUNNING else state

    again(lambda: runtime.ensure_environment(SPACE))
    _live(runtime, "v1")
    done = until(look)
    assert done is not None
    assert (done.phase, done.log) == (CheckPhase.PASSED, "once\n")
    _live(runtime, "v2")
    assert again(runtime.list_apps) == [(SPACE.namespace, "staging", "v2")]
    assert len(cluster.names("jobs")) == 1
    again(lambda: runtime.delete_check(SPACE, "c"))
    again(lambda: runtime.delete_app(STAGING))
    assert cluster.names("jobs") == cluster.names("deployments") == cluster.names("secrets") == []
    again(lambda: runtime.delete_environment(SPACE))

    until(lambda: cluster.names("namespaces") == [])
    assert cluster.faults.struck > 20


def test_a_server_that_hangs_is_given_up(runtime: Runtime, cluster: ClusterDouble, tmp_path: Path) -> None:
    cluster.faults.add("GET /version", "hang")
    hasty = runtime_on(cluster, tmp_path, timeout_seconds=(1.0, 0.4))
    with hasty as impatient, pytest.raises(ProviderUnavailable, match="did not answer"):
        impatient.ping()
    runtime.ping()


def test_a_busy_server_says_when_to_come_again(runtime: Runtime, cluster: ClusterDouble) -> None:
    cluster.faults.add("GET /version", "429")
    with pytest.raises(ProviderUnavailable) as busy:
        runtime.ping()
    assert busy.value.retry_after_seconds == 7
    assert cluster.requests == ["GET /version"]


def test_what_will_be_refused_again_is_not_tried_again(runtime: Runtime, cluster: ClusterDouble) -> None:
    cluster.faults.add("PATCH .*/deployments/", "422")
    with pytest.raises(ProviderRefused) as refused:
        runtime.ensure_app(STAGING, version("v1"))
    assert refused.value.code == "invalid"
