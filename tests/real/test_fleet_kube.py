"""Agents' pods on a real control plane: made, adopted, run by its nodes (simulated ones do), refused, removed."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator

import pytest

from common.errors import ProviderRefused
from common.providers.runtime.cluster.agent_pods import KubernetesFleet
from common.providers.runtime.cluster.client import connect
from common.providers.runtime.cluster_objects.names import path
from common.settings import from_env
from common.values.runs.agent_pod import AgentPod, PodPhase
from tests.real.patience import again_slowly

SECONDS = 240.0
pytestmark = pytest.mark.timeout(900)


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not again_slowly(holds):
        assert time.monotonic() < deadline, f"waited {SECONDS:.0f} s for {what}"
        time.sleep(0.5)


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"aiwtest-agents-{secrets.token_hex(4)}"
    yield name
    cluster = connect(os.environ["KUBECONFIG"])
    cluster.delete(path("namespaces", name))
    cluster.close()


@pytest.fixture
def make_fleet(namespace: str) -> Callable[[str], KubernetesFleet]:
    def make(instance: str) -> KubernetesFleet:
        environ = {
            "AIWORKER_SECRET_KEY": "0123456789abcdef" * 2,
            "AIWORKER_KUBE_DOMAIN": "apps.test",
            "AIWORKER_KUBE_IMAGE": os.environ.get("AIWORKER_TEST_IMAGE", "aiworker:test"),
            "AIWORKER_KUBE_HEALTH": "readiness",
            "AIWORKER_INTERNAL_URL": "http://web.aiworker.svc:3000",
            **os.environ,
            "AIWORKER_RUNTIME": "kubernetes",
            "AIWORKER_AGENTS_MAX": "2",
            "AIWORKER_AGENTS_NAMESPACE": namespace,
        }
        chosen = from_env(environ).runtime.kubernetes
        assert chosen is not None
        return KubernetesFleet(chosen, instance=instance)

    return make


def test_an_agents_pod_is_made_once_runs_and_is_removed(make_fleet: Callable[[str], KubernetesFleet]) -> None:
    instance = f"real-{secrets.token_hex(4)}"
    fleet, pod = make_fleet(instance), AgentPod(f"agent-{secrets.token_hex(6)}", "awa_of-a-test")
    assert fleet.read_agent(pod.name) is None
    again_slowly(lambda: fleet.ensure_agent(pod))
    again_slowly(lambda: fleet.ensure_agent(pod))
    assert fleet.list_agents() == [pod.name]

    def has_begun() -> bool:
        state = fleet.read_agent(pod.name)
        # Where the nodes are real and the image is not one that exists, that is what is said.
        return state is not None and state.phase is not PodPhase.STARTING

    until(has_begun, "the pod to run")
    with pytest.raises(ProviderRefused, match="AIWORKER_AGENTS_NAMESPACE"):
        make_fleet(f"{instance}-other").ensure_agent(AgentPod(f"agent-{secrets.token_hex(6)}", "awa_another"))

    again_slowly(lambda: fleet.delete_agent(pod.name))
    again_slowly(lambda: fleet.delete_agent(pod.name))
    assert (fleet.read_agent(pod.name), fleet.list_agents()) == (None, [])
