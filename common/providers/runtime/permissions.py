"""What AiWorker's account must be allowed in a cluster: the one list that the install's role and the doctor follow."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Permission:
    """group: empty for the core. resource: as in the API's paths, `pods/log` for a part. why: what needs it."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    why: str


APPLY = ("create", "patch")
"""Server-side apply needs both: which of them is asked for is known only after the object was looked up."""

NEEDED: tuple[Permission, ...] = (
    Permission("", "namespaces", ("get", "list", *APPLY, "delete"), "a namespace per project"),
    Permission("", "secrets", ("list", *APPLY, "delete"), "variables of versions, credentials of checkouts and agents"),
    Permission("", "services", (*APPLY, "delete"), "addresses of apps"),
    Permission("", "configmaps", ("get", *APPLY), "which image a version ran with on staging"),
    Permission("", "serviceaccounts", APPLY, "accounts of pods without a token"),
    Permission("", "resourcequotas", APPLY, "limits of projects"),
    Permission("", "limitranges", APPLY, "limits of containers"),
    Permission("", "pods", ("get", "list", "create", "delete"), "how versions do, and pods of agents"),
    Permission("", "pods/log", ("get",), "logs"),
    Permission("apps", "deployments", ("get", "list", *APPLY, "delete"), "apps"),
    Permission("apps", "replicasets", ("list",), "which version serves"),
    Permission("batch", "jobs", ("get", "create", "delete"), "tests of commits"),
    Permission("networking.k8s.io", "ingresses", (*APPLY, "delete"), "hosts of apps"),
    Permission("networking.k8s.io", "networkpolicies", (*APPLY, "delete"), "pods that reach only what they need"),
)
