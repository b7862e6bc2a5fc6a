"""What every pod of ours is denied: root, the cluster's token, a writable root, its neighbours. Parts of manifests."""

from __future__ import annotations

from typing import Any

Manifest = dict[str, Any]

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
"""Labels of a namespace that takes no other pods than such."""
NAMES: Manifest = {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
"""A rule of a NetworkPolicy: names may be asked for."""
TO_AIWORKER: Manifest = {"namespaceSelector": {"matchLabels": {"app.kubernetes.io/part-of": "aiworker"}}}
"""A peer of a NetworkPolicy: the platform and what belongs to it, such as the forge."""


def pod(user: int) -> Manifest:
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


def container() -> Manifest:
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


def resources(cpu: str, memory: str, storage: str) -> Manifest:
    """Requests are small: most previews idle, and a limit is what protects their neighbours."""
    asked = {"cpu": "10m", "memory": memory if _is_small(memory) else "64Mi"} | NO_DISK
    return {"limits": {"cpu": cpu, "memory": memory, "ephemeral-storage": storage}, "requests": asked}


def _is_small(memory: str) -> bool:
    """Whether a limit may be below 64Mi, which no request may exceed. Anything without a unit of mebibytes counts."""
    return not memory.endswith(("Gi", "Ti", "Pi", "Ei", "G", "T", "P", "E")) and not (
        memory.endswith(("Mi", "M")) and float(memory.rstrip("Mi")) >= 68
    )
