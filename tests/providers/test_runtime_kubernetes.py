"""The kubernetes runtime against the contract, on a cluster double."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.providers.runtime import Runtime
from common.values.delivery.app import ProjectNamespace
from tests.doubles.kubernetes import ClusterDouble
from tests.providers.runtime_cluster import SPACE, runtime_on, version
from tests.providers.runtime_contract import ChecksContract, MakeVersion, RuntimeContract


@pytest.fixture
def runtime(cluster: ClusterDouble, tmp_path: Path) -> Iterator[Runtime]:
    with runtime_on(cluster, tmp_path) as running:
        yield running


class TestKubernetesRuntime(RuntimeContract, ChecksContract):
    @pytest.fixture
    def space(self) -> ProjectNamespace:
        return SPACE

    @pytest.fixture
    def good(self) -> MakeVersion:
        return version

    @pytest.fixture
    def bad(self, cluster: ClusterDouble) -> MakeVersion:
        cluster.script("registry.test/bad", "crash", exit_code=4)
        return lambda version_id: version(version_id, "registry.test/bad:1")
