"""Agents as pods: what the cluster is asked for, what a pod may reach and hold, and what its end is called."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from common.errors import ProviderRefused
from common.providers.runtime import Fleet
from common.providers.runtime.cluster.agent_pods import KubernetesFleet
from common.providers.runtime.cluster.client import connect
from common.values.runs.agent_pod import AgentPod, PodPhase, PodState
from tests.doubles.kubernetes import ClusterDouble
from tests.doubles.kubernetes.schemas import why_invalid
from tests.providers.runtime_cluster import again, settings_for
from tests.providers.runtime_contract import until

NAME = "agent-0123456789ab"
POD = AgentPod(NAME, "awa_secret-of-the-agent")
NAMESPACE = "test-agents"
WANTED = {
    "AIWORKER_INSTANCE": "test",
    "AIWORKER_INTERNAL_URL": "http://web.aiworker.svc:3000",
    "AIWORKER_AGENTS_MAX": "3",
    "AIWORKER_AGENTS_EGRESS": "10.9.0.5/32",
}


def fleet_on(cluster: ClusterDouble, folder: Path, **more: str) -> KubernetesFleet:
    chosen = settings_for(cluster, folder, **(WANTED | more))
    return KubernetesFleet(chosen, instance=more.get("AIWORKER_INSTANCE", "test"), cluster=connect(chosen.kubeconfig))


@pytest.fixture
def fleet(cluster: ClusterDouble, tmp_path: Path) -> Fleet:
    return fleet_on(cluster, tmp_path)


def settled(fleet: Fleet, phase: PodPhase) -> PodState:
    state: PodState | None = None

    def is_so() -> bool:
        nonlocal state
        state = fleet.read_agent(NAME)
        return state is not None and state.phase is phase

    until(is_so)
    assert state is not None
    return state


def test_a_pod_is_made_once_and_removed(fleet: Fleet, cluster: ClusterDouble) -> None:
    assert fleet.read_agent(NAME) is None
    fleet.ensure_agent(POD)
    fleet.ensure_agent(POD)

    settled(fleet, PodPhase.RUNNING)
    assert (fleet.list_agents(), cluster.names("pods")) == ([NAME], [NAME])
    fleet.delete_agent(NAME)
    fleet.delete_agent(NAME)
    assert (fleet.read_agent(NAME), fleet.list_agents(), cluster.names("secrets")) == (None, [], [])


def test_one_that_has_ended_is_not_made_anew(fleet: Fleet, cluster: ClusterDouble) -> None:
    cluster.script(NAME, "ends")
    fleet.ensure_agent(POD)
    settled(fleet, PodPhase.ENDED)

    assert fleet.ensure_agent(POD).phase is PodPhase.ENDED


@pytest.mark.parametrize(
    ("kind", "how", "words"),
    [
        ("evicted", {}, "the cluster removed its pod: Evicted: The node was low on memory."),
        ("oom", {}, "its pod was killed: it used more memory than its limit, 2Gi"),
        ("crash", {"exit_code": 1, "message": "no\nthe platform is unknown"}, "exited with 1: the platform is unknown"),
    ],
)
def test_a_pod_that_fails_says_why(
    fleet: Fleet, cluster: ClusterDouble, kind: str, how: dict[str, Any], words: str
) -> None:
    cluster.script(NAME, kind, **how)
    fleet.ensure_agent(POD)

    assert words in str(settled(fleet, PodPhase.FAILED).reason)


def test_an_agent_has_no_more_than_it_needs(fleet: Fleet, cluster: ClusterDouble) -> None:
    fleet.ensure_agent(POD)

    whole = {one["kind"]: one for one in cluster.sent if set(one) & {"spec", "data"}}
    assert [reason for one in whole.values() if (reason := why_invalid(one))] == []
    labels = cluster.object("namespaces", "", NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    pod = whole["Pod"]["spec"]
    assert (pod["automountServiceAccountToken"], pod["restartPolicy"]) == (False, "Never")
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["activeDeadlineSeconds"] == 12 * 3600
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert set(container["resources"]["limits"]) == {"cpu", "memory", "ephemeral-storage"}
    assert container["resources"]["requests"]["ephemeral-storage"] == "0"
    assert all("sizeLimit" in volume["emptyDir"] for volume in pod["volumes"] if "emptyDir" in volume)
    policy = whole["NetworkPolicy"]["spec"]
    assert (policy["podSelector"], policy["policyTypes"], "ingress" in policy) == ({}, ["Ingress", "Egress"], False)
    names, others = policy["egress"]
    assert [port["port"] for port in names["ports"]] == [53, 53]
    assert others["to"] == [
        {"namespaceSelector": {"matchLabels": {"app.kubernetes.io/part-of": "aiworker"}}},
        {"ipBlock": {"cidr": "10.9.0.5/32"}},
    ]


def test_agents_have_the_proxy_of_the_cluster(cluster: ClusterDouble, tmp_path: Path) -> None:
    chosen = {"AIWORKER_EGRESS_PROXY": "http://192.0.2.7:3128", "GITEA_URL": "https://git.example.org"}

    fleet_on(cluster, tmp_path, **chosen).ensure_agent(POD)

    (pod,) = [one["spec"] for one in cluster.sent if one["kind"] == "Pod"]
    environ = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    assert (environ["AIWORKER_SANDBOX"], environ["https_proxy"]) == ("off", chosen["AIWORKER_EGRESS_PROXY"])
    assert environ["NO_PROXY"].endswith(",web.aiworker.svc,git.example.org")
    (policy,) = [one["spec"] for one in cluster.sent if one["kind"] == "NetworkPolicy"]
    assert policy["egress"][-1] == {
        "to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}], "ports": [{"protocol": "TCP", "port": 3128}]
    }  # fmt: skip


def test_its_token_is_in_its_file_alone(fleet: Fleet, cluster: ClusterDouble) -> None:
    fleet.ensure_agent(POD)

    (secret,) = [one for one in cluster.sent if one["kind"] == "Secret"]
    identity = json.loads(base64.b64decode(secret["data"]["agent.json"]))
    assert identity == {"url": "http://web.aiworker.svc:3000", "agentId": NAME, "token": POD.token}
    assert POD.token not in str([one for one in cluster.sent if one["kind"] != "Secret"])
    assert POD.token not in repr(POD)


def test_what_is_not_ours_is_refused_and_left_alone(cluster: ClusterDouble, tmp_path: Path) -> None:
    fleet_on(cluster, tmp_path).ensure_agent(POD)
    other = fleet_on(
        cluster, tmp_path, AIWORKER_INSTANCE="other", AIWORKER_AGENTS_NAMESPACE=NAMESPACE
    )  # another AiWorker, told to use the same namespace
    with pytest.raises(ProviderRefused, match="AIWORKER_AGENTS_NAMESPACE"):
        other.ensure_agent(AgentPod("agent-00000000000d", "awa_d"))
    assert other.list_agents() == []

    with cluster.store.lock:
        pod = cluster.object("pods", NAMESPACE, NAME)
        cluster.store.update("pods", pod, lambda one: one["metadata"]["labels"].clear())
    fleet = fleet_on(cluster, tmp_path)
    with pytest.raises(ProviderRefused, match="is not an agent"):
        fleet.read_agent(NAME)
    fleet.delete_agent(NAME)
    assert cluster.names("pods") == [NAME]


@pytest.mark.parametrize("fault", ["apply_then_500", "reset"])
def test_each_call_may_fail_once(cluster: ClusterDouble, tmp_path: Path, fault: str) -> None:
    fleet = fleet_on(cluster, tmp_path)
    cluster.faults.add_for_each("", fault)

    again(lambda: fleet.ensure_agent(POD))
    assert cluster.names("pods") == again(fleet.list_agents) == [NAME]
    again(lambda: fleet.delete_agent(NAME))
    assert cluster.names("pods") == cluster.names("secrets") == []
    assert cluster.faults.struck > 8
