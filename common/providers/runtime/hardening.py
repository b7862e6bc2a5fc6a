"""What every pod of ours is denied: root, the cluster's token, a writable root, its neighbours. Parts of manifests."""

from __future__ import annotations

from common.providers.runtime.objects import KubeObject
from common.settings.quantities import amount

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
"""Labels of a namespace that takes no other pods than such."""
NAMES: KubeObject = {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
"""A rule of a NetworkPolicy: names may be asked for."""
TO_AIWORKER: KubeObject = {"namespaceSelector": {"matchLabels": {"app.kubernetes.io/part-of": "aiworker"}}}
"""A peer of a NetworkPolicy: the platform and what belongs to it, such as the forge."""


def pod(user: int) -> KubeObject:
    """user: the numeric user and group of every container."""
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
    """What a container may not do: become more than it is, write its root, be root."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }


NO_DISK = {"ephemeral-storage": "0"}
"""Requested beside a limit of disk. Without a request, the limit is the request: a node would be full of disk that
nobody writes, and one that tells of none (a simulated one) would take no pod at all."""


def resources(cpu: str, memory: str, storage: str, *, is_preview: bool = False) -> KubeObject:
    """Requests are small, and a preview's smaller: most idle, and a limit is what protects their neighbours."""
    least_cpu, least_memory = ("5m", "32Mi") if is_preview else ("10m", "64Mi")
    asked = {"cpu": least_cpu, "memory": min(memory, least_memory, key=amount)} | NO_DISK
    return {"limits": {"cpu": cpu, "memory": memory, "ephemeral-storage": storage}, "requests": asked}
