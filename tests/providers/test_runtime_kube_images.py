"""Images that can't be fetched: what may pass is waited for, and what can't pass is not."""

from __future__ import annotations

from pathlib import Path

from common.values.app import AppPhase
from tests.doubles.kubernetes import ClusterDouble
from tests.providers.runtime_cluster import STAGING, runtime_on, version
from tests.providers.runtime_contract import settled, until


def test_an_image_that_can_be_fetched_later_is_waited_for(cluster: ClusterDouble, tmp_path: Path) -> None:
    with runtime_on(cluster, tmp_path) as runtime:
        cluster.script("registry.test/shop", "image_pull", message="dial tcp: connect: connection refused")
        wanted = version("v1", start_seconds=10**6)
        said = (
            "the image registry.test/shop:1 can't be fetched (ImagePullBackOff): dial tcp: connect: connection refused"
        )

        until(lambda: runtime.ensure_app(STAGING, wanted).reason == said)
        state = runtime.ensure_app(STAGING, wanted)
        assert (state.phase, state.code) == (AppPhase.STARTING, "image")
        cluster.script("registry.test/shop", "healthy")
        assert settled(runtime, STAGING, "v1").phase is AppPhase.LIVE


def test_a_name_that_is_no_images_is_not_waited_for(cluster: ClusterDouble, tmp_path: Path) -> None:
    with runtime_on(cluster, tmp_path) as runtime:
        cluster.script("registry.test/shop", "invalid_image")
        runtime.ensure_app(STAGING, version("v1", start_seconds=10**6))

        state = settled(runtime, STAGING, "v1")
        assert (state.phase, state.code) == (AppPhase.FAILED, "image")
