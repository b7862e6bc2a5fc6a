"""Pods that the cluster moves: a live version is not blamed for what its next pod waits for."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.providers.runtime.cluster.runtime import KubernetesRuntime
from common.providers.runtime.cluster_objects import names
from common.values.delivery.app import AppPhase, AppState
from common.values.repository import Source
from tests.doubles.kubernetes import ClusterDouble
from tests.providers.runtime_cluster import PRODUCTION, SPACE, runtime_on, version
from tests.providers.runtime_contract import settled, until


@pytest.fixture
def runtime(cluster: ClusterDouble, tmp_path: Path) -> Iterator[KubernetesRuntime]:
    """With a live version, v1."""
    with runtime_on(cluster, tmp_path) as running:
        running.ensure_app(PRODUCTION, version("v1"))
        assert settled(running, PRODUCTION, "v1").phase is AppPhase.LIVE
        yield running


def _read(runtime: KubernetesRuntime) -> AppState:
    state = runtime.read_app(PRODUCTION, "v1")
    assert state is not None
    return state


@pytest.mark.parametrize(
    ("kind", "how", "code", "words"),
    [
        ("checkout", {"exit_code": 21, "message": "returned error: 503"}, "checkout_failed", "returned error: 503"),
        ("image_pull", {"message": "toomanyrequests: pull rate limit"}, "image", "toomanyrequests"),
    ],
)
def test_a_live_version_whose_new_pod_can_not_start_yet_is_waited_for(
    runtime: KubernetesRuntime, cluster: ClusterDouble, kind: str, how: dict[str, Any], code: str, words: str
) -> None:
    cluster.script("registry.test/shop", kind, **how)
    (pod,) = cluster.names("pods", SPACE.namespace)
    runtime._cluster.delete(names.path("pods", SPACE.namespace, pod))

    until(lambda: _read(runtime).code is not None)
    state = _read(runtime)
    assert (state.phase, state.code) == (AppPhase.STARTING, code)
    assert words in str(state.reason)
    cluster.script("registry.test/shop", "healthy")
    until(lambda: _read(runtime).phase is AppPhase.LIVE)


NEW = Source("http://forge.test/shop.git", "aiworker", "another password")


def _source_password(cluster: ClusterDouble) -> str:
    name = names.source_secret("production", "v2")
    return base64.b64decode(cluster.object("secrets", SPACE.namespace, name)["data"]["password"]).decode()


def test_a_new_pod_that_can_not_check_out_gets_the_present_credential(
    runtime: KubernetesRuntime, cluster: ClusterDouble
) -> None:
    """The platform's token was renewed since the version was deployed."""
    runtime.ensure_app(PRODUCTION, version("v2"))
    assert settled(runtime, PRODUCTION, "v2").phase is AppPhase.LIVE
    renewed = replace(version("v2"), source=NEW, was_healthy=True)
    runtime.ensure_app(PRODUCTION, renewed)
    assert _source_password(cluster) == "clone-password"

    cluster.script("registry.test/shop", "checkout", exit_code=21, message="Authentication failed")
    pod = cluster.names("pods", SPACE.namespace)[0]
    runtime._cluster.delete(names.path("pods", SPACE.namespace, pod))
    until(lambda: _code_of(runtime, "v2") == "checkout_failed")
    runtime.ensure_app(PRODUCTION, renewed)

    assert _source_password(cluster) == "another password"


def _code_of(runtime: KubernetesRuntime, version_id: str) -> str | None:
    state = runtime.read_app(PRODUCTION, version_id)
    return None if state is None else state.code
