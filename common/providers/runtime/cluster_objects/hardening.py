"""Security settings of all our pods, as parts of manifests: no root, no cluster token, a read-only root file system."""

from __future__ import annotations

from common.providers.runtime.cluster_objects.types import KubeObject
from common.settings.kubernetes import amount

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
"""Labels of a namespace that accepts only pods that meet the restricted Pod Security standard."""
DNS: KubeObject = {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
"""A rule of a NetworkPolicy that allows DNS queries."""
TO_AIWORKER: KubeObject = {"namespaceSelector": {"matchLabels": {"app.kubernetes.io/part-of": "aiworker"}}}
"""A peer of a NetworkPolicy: the namespaces of AiWorker and its services, such as the forge."""


def pod(user: int) -> KubeObject:
    """Return the security fields of a pod's spec. user: the numeric user and group of every container."""
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def container() -> KubeObject:
    """Return a container's securityContext: no privilege escalation, read-only root file system, not root."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }


NO_DISK = {"ephemeral-storage": "0"}
"""The request that goes with a disk limit. Without a request, Kubernetes takes the limit as the request: nodes would
reserve disk that is never written, and simulated nodes, which report no disk, would accept no pod."""


def resources(cpu: str, memory: str, storage: str, *, is_preview: bool = False) -> KubeObject:
    """Return a container's limits and requests. Requests are small, and smaller for previews: most apps are idle, and
    limits protect the other pods of a node."""
    least_cpu, least_memory = ("5m", "32Mi") if is_preview else ("10m", "64Mi")
    asked = {"cpu": least_cpu, "memory": min(memory, least_memory, key=amount)} | NO_DISK
    return {"limits": {"cpu": cpu, "memory": memory, "ephemeral-storage": storage}, "requests": asked}
