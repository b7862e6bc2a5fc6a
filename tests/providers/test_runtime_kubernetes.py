"""The kubernetes runtime against the contract, on a cluster double."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.providers.forge.protocol import Source
from common.providers.runtime import Space, Version
from common.providers.runtime.cluster import KubernetesRuntime
from common.providers.runtime.kube import connect
from common.settings import KubernetesSettings, from_env
from tests.doubles.kubernetes import ClusterDouble
from tests.providers.runtime_contract import MakeVersion, RuntimeContract

COMMIT = "1" * 40
SOURCE = Source("http://forge.test/shop.git", "aiworker", "clone-password")
SPACE = Space("shop-0000beef", "project-1")


def settings_for(cluster: ClusterDouble, directory: Path, **more: str) -> KubernetesSettings:
    environ = {
        "AIWORKER_SECRET_KEY": "0123456789abcdef" * 2,
        "AIWORKER_RUNTIME": "kubernetes",
        "AIWORKER_KUBE_DOMAIN": "apps.test",
        "AIWORKER_KUBE_IMAGE": "registry.test/aiworker:1",
        "AIWORKER_KUBE_INGRESS_URL": cluster.url,
        "KUBECONFIG": cluster.kubeconfig(directory),
    }
    chosen = from_env(environ | more).runtime.kubernetes
    assert chosen is not None
    return chosen


def version(version_id: str, image: str = "registry.test/shop:1", **more: object) -> Version:
    return Version(version_id, COMMIT, SOURCE, docker_image=image, start_seconds=1, **more)  # type: ignore[arg-type]


@pytest.fixture
def cluster() -> Iterator[ClusterDouble]:
    with ClusterDouble() as double:
        yield double


@pytest.fixture
def runtime(cluster: ClusterDouble, tmp_path: Path) -> Iterator[KubernetesRuntime]:
    chosen = settings_for(cluster, tmp_path)
    connected = connect(chosen.kubeconfig)
    yield KubernetesRuntime(chosen, instance="test", cluster=connected)
    connected.close()


class TestKubernetesRuntime(RuntimeContract):
    @pytest.fixture
    def space(self) -> Space:
        return SPACE

    @pytest.fixture
    def good(self) -> MakeVersion:
        return version

    @pytest.fixture
    def bad(self, cluster: ClusterDouble) -> MakeVersion:
        cluster.script("registry.test/bad", "crash", exit_code=4)
        return lambda version_id: version(version_id, "registry.test/bad:1")
