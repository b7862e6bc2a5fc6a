"""docs/kubernetes.md: the commands that try whether NetworkPolicies are enforced tell one cluster from the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import need
from tests.deploy.network_node import NetworkNode
from tests.deploy.reading import Reader, Said
from tests.doubles.kubernetes import ClusterDouble

PAGE = "docs/kubernetes.md"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def node() -> NetworkNode:
    need("busybox")
    return NetworkNode()


@pytest.fixture
def cluster(node: NetworkNode) -> Iterator[ClusterDouble]:
    with ClusterDouble(speed=20, node=node) as double:
        node.store = double.store
        yield double


@pytest.fixture
def reader(cluster: ClusterDouble, tmp_path: Path) -> Iterator[Reader]:
    with cluster.secure_kubeconfig(tmp_path) as kubeconfig:
        yield Reader(PAGE, tmp_path, {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": kubeconfig})


def tried(reader: Reader) -> tuple[Said, str, str]:
    """All that was said, and what of it before and after the policy was there."""
    said = reader.read("kubectl create namespace policy-try", typing="nothing is asked")
    reader.finish()
    before, _made, after = said.text.partition("networkpolicy.networking.k8s.io/none created")
    assert after, said
    return said, before, after


@pytest.mark.slow
def test_where_policies_are_enforced_the_second_request_times_out(reader: Reader, cluster: ClusterDouble) -> None:
    said, before, after = tried(reader)

    assert "timed out" not in before
    assert "timed out" in after
    assert [line.partition(" --image")[0] for line in said.failed] == ["1 kubectl -n policy-try run ask"]
    assert cluster.names("namespaces") == []


@pytest.mark.slow
def test_where_they_are_not_both_are_answered(
    reader: Reader, node: NetworkNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.deploy.network_node._is_let_in", lambda *_: True)
    reader.words["wget -T 3"] = "wget -T 60"  # nothing is to time out, on a busy machine either

    said, _before, after = tried(reader)

    assert said.failed == []
    assert "timed out" not in after
