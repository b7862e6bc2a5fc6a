"""What AiWorker's account must be allowed in a cluster: the one list that the install's role and the doctor follow.

And how the API is asked whether it is: by reviews of the account's own access (SelfSubjectAccessReview).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from common.providers.runtime.objects import KubeObject

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


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

_PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)(?:/namespaces/(?P<namespace>[^/]+)(?=/))?"
    r"/(?P<resource>[a-z]+)(?:/(?P<name>[^/]+)(?:/(?P<part>[a-z]+))?)?"
)
_VERBS = {"POST": ("create",), "PATCH": APPLY, "DELETE": ("delete",)}


def review(attributes: dict[str, str]) -> KubeObject:
    """The question whether our account may do this."""
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }


def is_allowed(answer: KubeObject) -> bool:
    return bool((answer.get("status") or {}).get("allowed"))


def rights_of_request(method: str, path: str) -> list[dict[str, str]]:
    """What a request takes, as attributes of reviews. Empty for a path that no rights of objects cover."""
    found = _PATH.fullmatch(path)
    if found is None:
        return []
    reading = ("get",) if found["name"] else ("list",)
    named = {"group": found["group"] or "", "resource": found["resource"], "subresource": found["part"]}
    named |= {part: unquote(found[part]) if found[part] else None for part in ("namespace", "name")}
    asked = {key: value for key, value in named.items() if value is not None}
    return [asked | {"verb": verb} for verb in _VERBS.get(method, reading)]
