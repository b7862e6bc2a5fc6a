"""A kubernetes runtime on a cluster double, and versions for it to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from common.errors import ProviderUnavailable
from common.providers.runtime.cluster.client import connect
from common.providers.runtime.cluster.runtime import KubernetesRuntime
from common.settings import KubernetesSettings, from_env
from common.values.delivery.app import App, ProjectNamespace, Version
from common.values.repository import Source
from tests.doubles.kubernetes import ClusterDouble
from tests.providers.runtime_contract import version_of

T = TypeVar("T")

COMMIT = "1" * 40
SOURCE = Source("http://forge.test/shop.git", "aiworker", "clone-password")
SPACE = ProjectNamespace("shop-0000beef", "project-1")
STAGING, PRODUCTION = App(SPACE, "staging"), App(SPACE, "production")


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


def version(version_id: str, image: str = "registry.test/shop:1", **more: Any) -> Version:
    return version_of(version_id, COMMIT, SOURCE, **{"docker_image": image, "start_seconds": 1, **more})


@contextmanager
def runtime_on(
    cluster: ClusterDouble, directory: Path, *, timeout_seconds: tuple[float, float] | None = None, **more: str
) -> Iterator[KubernetesRuntime]:
    chosen = settings_for(cluster, directory, **more)
    connected = connect(chosen.kubeconfig, timeout_seconds=timeout_seconds)
    yield KubernetesRuntime(chosen, instance="test", cluster=connected)
    connected.close()


def again(call: Callable[[], T], *, times: int = 60) -> T:
    """What a job does: the same call anew as long as the world says that it can't now."""
    for _ in range(times - 1):
        try:
            return call()
        except ProviderUnavailable:
            continue
    return call()
