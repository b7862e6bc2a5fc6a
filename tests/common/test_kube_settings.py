"""What the kubernetes runtime needs to be told, and what it may."""

from __future__ import annotations

import pytest

from common.errors import Misconfigured
from common.settings import from_env
from common.settings.kubernetes import Toleration

SECRET = {"AIWORKER_SECRET_KEY": "0123456789abcdef" * 2}
KUBERNETES = SECRET | {
    "AIWORKER_RUNTIME": "kubernetes",
    "AIWORKER_KUBE_DOMAIN": "Apps.Test.",
    "AIWORKER_KUBE_IMAGE": "registry.test/aiworker:1",
}


def test_the_local_runtime_knows_no_cluster() -> None:
    assert from_env(SECRET).runtime.kubernetes is None


@pytest.mark.parametrize("missing", ["AIWORKER_KUBE_DOMAIN", "AIWORKER_KUBE_IMAGE"])
def test_what_is_missing_is_named(missing: str) -> None:
    with pytest.raises(Misconfigured, match=missing):
        from_env({name: value for name, value in KUBERNETES.items() if name != missing})


def test_networks_and_the_domain_are_read_as_they_are_meant() -> None:
    chosen = from_env(KUBERNETES | {"AIWORKER_KUBE_EGRESS": "10.1.0.0/16, 10.2.0.0/16"}).runtime.kubernetes

    assert chosen is not None
    assert (chosen.domain, chosen.egress) == ("apps.test", ("10.1.0.0/16", "10.2.0.0/16"))
    assert chosen.kubeconfig is None


def test_nodes_and_their_taints_are_read_as_they_are_meant() -> None:
    chosen = from_env(
        KUBERNETES
        | {
            "AIWORKER_KUBE_NODES": "pool=agents, kubernetes.io/arch=amd64",
            "AIWORKER_KUBE_TOLERATIONS": "a.test/only, pool=agents:NoSchedule, gone:NoExecute, empty=",
        }
    ).runtime.kubernetes

    assert chosen is not None
    assert chosen.nodes == (("pool", "agents"), ("kubernetes.io/arch", "amd64"))
    assert chosen.tolerations == (
        Toleration("a.test/only", None, None),
        Toleration("pool", "agents", "NoSchedule"),
        Toleration("gone", None, "NoExecute"),
        Toleration("empty", "", None),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("AIWORKER_KUBE_RUN_AS_USER", "0"), ("AIWORKER_KUBE_HEALTH", "maybe"), ("AIWORKER_KUBE_NODES", "pool"),
     ("AIWORKER_KUBE_TOLERATIONS", "pool=agents:Sometimes"), ("AIWORKER_KUBE_TOLERATIONS", "a b")],
)  # fmt: skip
def test_root_and_unknown_words_are_refused(name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=name):
        from_env(KUBERNETES | {name: value})
