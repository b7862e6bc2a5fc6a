"""Agents as pods: one namespace for all agents, with a pod and a Secret per agent.

A pod runs one agent, for one run. It can connect only to DNS, the namespaces of AiWorker and the forge, and the
networks of the settings; nothing can connect to it. Its only credential is its agent's token, a file in memory.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.runtime.cluster.client import Cluster, connect
from common.providers.runtime.cluster.missing_objects import MissingObjects
from common.providers.runtime.cluster_objects import hardening, names, reasons
from common.providers.runtime.cluster_objects.egress_policies import pod_proxy_variables
from common.providers.runtime.cluster_objects.node_selection import placement
from common.providers.runtime.cluster_objects.outside_hosts import CachedOutsideRules
from common.providers.runtime.cluster_objects.pod_statuses import pod_reason
from common.providers.runtime.cluster_objects.types import KubeObject
from common.settings import FleetSettings, KubernetesSettings
from common.settings.kubernetes import FLEET_LIFETIME_SECONDS, TMP_SIZE
from common.values.runs.agent_pod import AgentPod, PodPhase, PodState

AGENT = "aiworker.dev/agent"
IDENTITY_FILE = "/identity/agent.json"
END_SECONDS = 45
"""How long a deleted pod may take to end before it is killed (terminationGracePeriodSeconds).

Its agent drains for 30 s, in which it pushes the unfinished work of its runs.
"""


class KubernetesFleet:
    """The Fleet protocol on one cluster."""

    def __init__(self, chosen: KubernetesSettings, *, instance: str, cluster: Cluster | None = None) -> None:
        assert chosen.fleet is not None
        self._fleet: FleetSettings = chosen.fleet
        self._chosen = chosen
        self._instance = instance
        self._namespace = names.name("AIWORKER_AGENTS_NAMESPACE", self._fleet.namespace)
        self._outside = CachedOutsideRules(None, chosen.egress_proxy)
        self._cluster = cluster or connect(chosen.kubeconfig)
        self._missing = MissingObjects(self._cluster)

    def ensure_agent(self, pod: AgentPod) -> PodState:
        found = self.read_agent(pod.name)
        if found is not None:
            return found
        self._ensure_namespace()
        self._cluster.apply(self._path("secrets", pod.name), self._secret(pod))
        # Created, not applied: a pod is immutable, and an existing pod of this name is this agent's.
        try:
            self._cluster.create(names.path("pods", self._namespace), self._pod(pod.name))
        except ProviderRefused as error:
            # Pods that are being deleted still count towards the quota, so a later try may succeed.
            if error.code == "quota":
                raise ProviderUnavailable(error.message) from error
            raise
        return self.read_agent(pod.name) or PodState(PodPhase.STARTING)

    def read_agent(self, name: str) -> PodState | None:
        found = self._cluster.read(self._path("pods", name))
        if found is None:
            return None
        if "deletionTimestamp" in found["metadata"]:
            # The reason can be read only while the pod still exists.
            reason = pod_reason([found])
            return PodState(PodPhase.FAILED, f"the cluster removed its pod: {reason}") if reason else None
        if found["metadata"].get("labels", {}).get(AGENT) != name:
            raise ProviderRefused(f"the pod {self._namespace}/{name} is not an agent of AiWorker", code="foreign")
        return reasons.judge_agent(found)

    def delete_agent(self, name: str) -> None:
        found = self._cluster.read(self._path("pods", name))
        if found is not None and found["metadata"].get("labels", {}).get(AGENT) != name:
            return
        self._cluster.delete(self._path("pods", name))
        self._cluster.delete(self._path("secrets", name))

    def list_agents(self) -> list[str]:
        labels = f"{names.instance_selector(self._instance)},{AGENT}"
        found = self._cluster.items(names.path("pods", self._namespace), labels=labels)
        return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def _ensure_namespace(self) -> None:
        """Ensure the namespace and its limits. Raises ProviderRefused (`foreign`) if it is not for these agents."""
        limits = self._limits()
        mark = names.digest(json.dumps(limits, sort_keys=True))
        found = self._cluster.read(names.path("namespaces", self._namespace))
        about = {} if found is None else found["metadata"]
        if "deletionTimestamp" in about:
            raise ProviderUnavailable(f"the namespace {self._namespace} is still being deleted")
        labels = self._labels() | hardening.RESTRICTED
        if found is not None and any(about.get("labels", {}).get(key) != value for key, value in labels.items()):
            raise ProviderRefused(
                f"the namespace {self._namespace} exists and is not for the agents of this AiWorker; "
                "set AIWORKER_AGENTS_NAMESPACE to another name",
                code="foreign",
            )
        if about.get("annotations", {}).get(names.LIMITS) == mark:
            self._missing.put_back(self._namespace, lambda: limits)
            return
        wanted: KubeObject = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self._namespace}}
        wanted["metadata"]["labels"] = labels
        self._cluster.apply(names.path("namespaces", self._namespace), wanted)
        for manifest in limits:
            self._cluster.apply(names.path_of(manifest), manifest)
        wanted["metadata"]["annotations"] = {names.LIMITS: mark}
        self._cluster.apply(names.path("namespaces", self._namespace), wanted)
        self._missing.note_complete(self._namespace)

    def _limits(self) -> list[KubeObject]:
        # Pods that are being deleted count too, so the quota is twice the number of agents.
        hard = {"pods": str(2 * self._fleet.most), "services.loadbalancers": "0", "services.nodeports": "0"}
        peers = [hardening.TO_AIWORKER, *({"ipBlock": {"cidr": cidr}} for cidr in self._fleet.egress)]
        network = {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "egress": [hardening.DNS, {"to": peers}, *self._outside.rules().proxy],
        }
        account = self._object("v1", "ServiceAccount", "default")
        account["automountServiceAccountToken"] = False
        return [
            self._object("v1", "ResourceQuota", "aiworker", spec={"hard": hard}),
            self._object("networking.k8s.io/v1", "NetworkPolicy", "aiworker", spec=network),
            account,
        ]

    def _secret(self, pod: AgentPod) -> KubeObject:
        identity = {"url": self._fleet.url, "agentId": pod.name, "token": pod.token}
        made = self._object("v1", "Secret", pod.name)
        # Not stringData: server-side apply would not track which keys are ours.
        made["data"] = {"agent.json": base64.b64encode(json.dumps(identity).encode()).decode()}
        return made | {"type": "Opaque"}

    def _pod(self, name: str) -> KubeObject:
        fleet = self._fleet
        command = ["tini", "--", "python", "-P", "-m", "workers.runner", "--url", fleet.url, "--name", name]
        command += ["--identity-file", IDENTITY_FILE, "--work-dir", "/work", "--driver", ",".join(fleet.drivers)]
        command += ["--capabilities", ",".join(fleet.capabilities)]
        limits = {
            "cpu": names.quantity("AIWORKER_AGENTS_LIMITS: cpu", fleet.cpu),
            "memory": names.quantity("AIWORKER_AGENTS_LIMITS: memory", fleet.memory),
            "ephemeral-storage": names.quantity("AIWORKER_AGENTS_LIMITS: disk", fleet.disk),
        }
        container = {
            "name": "agent",
            "image": fleet.image,
            "command": command,
            "env": [{"name": name, "value": value} for name, value in self._environment().items()],
            "resources": {"limits": limits, "requests": {"cpu": "100m", "memory": "256Mi"} | hardening.NO_DISK},
            "securityContext": hardening.container(),
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [
                {"name": "work", "mountPath": "/work"},
                {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 (a volume of the pod's own)
                {"name": "identity", "mountPath": "/identity", "readOnly": True},
            ],
        }
        spec = {
            **placement(self._chosen),
            **hardening.pod(self._chosen.run_as_user),
            "restartPolicy": "Never",
            "activeDeadlineSeconds": FLEET_LIFETIME_SECONDS,
            "terminationGracePeriodSeconds": END_SECONDS,
            "containers": [container],
            "volumes": [
                {"name": "work", "emptyDir": {"sizeLimit": fleet.disk}},
                {"name": "tmp", "emptyDir": {"sizeLimit": TMP_SIZE}},
                {"name": "identity", "secret": {"secretName": name, "defaultMode": 0o440}},
            ],
        }
        return self._object("v1", "Pod", name, spec=spec)

    def _environment(self) -> dict[str, str]:
        # The pod is the sandbox. The agent itself uses no proxy; it hands these variables on to what it starts.
        own = {"HOME": "/work", "AIWORKER_SANDBOX": "off"}
        proxy = self._chosen.egress_proxy
        return own if proxy is None else own | pod_proxy_variables(proxy, self._fleet.url, self._chosen.forge_url)

    def _labels(self) -> dict[str, str]:
        return {names.MANAGED_BY: "aiworker", names.INSTANCE: self._instance}

    def _object(self, version: str, kind: str, name: str, **rest: Any) -> KubeObject:
        marked = self._labels() | ({AGENT: name} if kind in {"Pod", "Secret"} else {})
        about = {"name": name, "namespace": self._namespace, "labels": marked}
        return {"apiVersion": version, "kind": kind, "metadata": about, **rest}

    def _path(self, plural: str, name: str) -> str:
        return names.path(plural, self._namespace, names.name("agent", name))
