"""The permissions that AiWorker's account needs in a cluster. The ClusterRole in deploy/ and the doctor follow them.

Also builds the access reviews (SelfSubjectAccessReview) that ask the API whether the account has them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from common.providers.runtime.cluster_objects.types import KubeObject

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True)
class Permission:
    """group: the API group, empty for core. resource: plural name, `pods/log` for a subresource. why: what needs it."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    why: str


APPLY = ("create", "patch")
"""Server-side apply needs both verbs: the API checks create or patch depending on whether the object exists."""

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

_PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)(?:/namespaces/(?P<namespace>[^/]+)(?=/))?"
    r"/(?P<resource>[a-z]+)(?:/(?P<name>[^/]+)(?:/(?P<part>[a-z]+))?)?"
)
_VERBS = {"POST": ("create",), "PATCH": APPLY, "DELETE": ("delete",)}


def review(attributes: dict[str, str]) -> KubeObject:
    """Return a review that asks whether our account may do this."""
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }


def is_allowed(answer: KubeObject) -> bool:
    return bool((answer.get("status") or {}).get("allowed"))


def rights_of_request(method: str, path: str) -> list[dict[str, str]]:
    """Return the permissions that a request needs, as attributes of reviews. Empty for a path without an object."""
    found = _PATH.fullmatch(path)
    if found is None:
        return []
    reading = ("get",) if found["name"] else ("list",)
    named = {"group": found["group"] or "", "resource": found["resource"], "subresource": found["part"]}
    named |= {part: unquote(found[part]) if found[part] else None for part in ("namespace", "name")}
    asked = {key: value for key, value in named.items() if value is not None}
    return [asked | {"verb": verb} for verb in _VERBS.get(method, reading)]
