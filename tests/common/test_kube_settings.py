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

AGENTS = {"AIWORKER_AGENTS_MAX": "2", "AIWORKER_INTERNAL_URL": "http://web.aiworker.svc:3000"}


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


@pytest.mark.parametrize(
    ("name", "key"),
    [("AIWORKER_KUBE_QUOTA", "cpu"), ("AIWORKER_KUBE_LIMITS", "memory"), ("AIWORKER_KUBE_PREVIEWS", "memory"),
     ("AIWORKER_KUBE_LIMITS", "disk"), ("AIWORKER_AGENTS_LIMITS", "cpu"), ("AIWORKER_AGENTS_LIMITS", "memory"),
     ("AIWORKER_AGENTS_LIMITS", "disk"), ("AIWORKER_KUBE_QUOTA", "pods")],
)  # fmt: skip
def test_a_limit_that_is_none_is_refused_by_its_name(name: str, key: str) -> None:
    for value in ("0", "0Gi", "much", "-1", ""):
        with pytest.raises(Misconfigured, match=name):
            from_env(KUBERNETES | AGENTS | {name: f"{key}={value}"})


@pytest.mark.parametrize("value", ["disk=1Gi,swap=1Gi", "cpu", "1", "cpu=1,cpu=2", "CPU=1"])
def test_what_is_no_limit_is_refused_by_its_name(value: str) -> None:
    with pytest.raises(Misconfigured, match=r"^AIWORKER_AGENTS_LIMITS: '.*' is not one of cpu, memory, disk"):
        from_env(KUBERNETES | AGENTS | {"AIWORKER_AGENTS_LIMITS": value})


def test_limits_that_are_not_named_keep_their_default() -> None:
    chosen = from_env(KUBERNETES | AGENTS | {"AIWORKER_AGENTS_LIMITS": " memory = 4Gi "}).runtime.kubernetes

    assert chosen is not None
    assert chosen.fleet is not None
    assert (chosen.fleet.cpu, chosen.fleet.memory, chosen.fleet.disk) == ("2", "4Gi", "8Gi")
    assert (chosen.cpu, chosen.memory, chosen.code_size) == ("1", "512Mi", "2Gi")
    assert (chosen.quota_cpu, chosen.quota_memory, chosen.quota_pods) == ("16", "32Gi", 50)
    assert (chosen.previews_cpu, chosen.previews_memory) == ("10", "10Gi")


@pytest.mark.parametrize("name", ["AIWORKER_KUBE_EGRESS", "AIWORKER_AGENTS_EGRESS"])
def test_a_host_in_place_of_a_network_is_refused_by_name(name: str) -> None:
    for value in ("git.example.org", "10.1.2.3:3000", "10.1.0.0/16,x"):
        with pytest.raises(Misconfigured, match=rf"^{name}: '.*' is not a network such as 10.0.0.0/8"):
            from_env(KUBERNETES | AGENTS | {name: value})


@pytest.mark.parametrize("value", ["cluade", "auto, claude"])
def test_an_unknown_driver_of_agents_is_refused_by_name(value: str) -> None:
    with pytest.raises(Misconfigured, match=r"^AIWORKER_AGENTS_DRIVER: '.*' is not one of claude, .*scripted"):
        from_env(KUBERNETES | AGENTS | {"AIWORKER_AGENTS_DRIVER": value})


@pytest.mark.parametrize(
    ("cpu", "memory", "most"),
    [("4", None, 20), (None, "1Gi", 10), (None, "4Gi", 2), (None, "64Gi", 1), ("100m", None, 20)],
)
def test_projects_with_larger_previews_have_fewer(cpu: str | None, memory: str | None, most: int) -> None:
    chosen = from_env(KUBERNETES).runtime.kubernetes

    assert chosen is not None
    assert chosen.most_previews(cpu, memory) == most
