"""What the API says of itself: which kinds it has, what can be asked of them, and what it checks of a write.

`kubectl` reads this before it does anything. The description of the API holds no schemas, only that the server itself
checks fields strictly (`fieldValidation`): then kubectl leaves that to it.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

Object = dict[str, Any]


class Resource(NamedTuple):
    plural: str
    kind: str
    is_namespaced: bool = True
    parts: tuple[str, ...] = ()
    """Its subresources that people ask for."""


GROUPS = {
    "v1": [
        Resource("namespaces", "Namespace", is_namespaced=False), Resource("secrets", "Secret"),
        Resource("services", "Service"), Resource("pods", "Pod", parts=("log", "exec", "attach")),
        Resource("configmaps", "ConfigMap"), Resource("serviceaccounts", "ServiceAccount"),
        Resource("resourcequotas", "ResourceQuota"), Resource("limitranges", "LimitRange"), Resource("events", "Event"),
    ],
    "apps/v1": [
        Resource("deployments", "Deployment", parts=("scale",)), Resource("replicasets", "ReplicaSet"),
        Resource("statefulsets", "StatefulSet"),
    ],
    "batch/v1": [Resource("jobs", "Job")],
    "networking.k8s.io/v1": [Resource("ingresses", "Ingress"), Resource("networkpolicies", "NetworkPolicy")],
    "policy/v1": [Resource("poddisruptionbudgets", "PodDisruptionBudget")],
    "rbac.authorization.k8s.io/v1": [
        Resource("clusterroles", "ClusterRole", is_namespaced=False),
        Resource("clusterrolebindings", "ClusterRoleBinding", is_namespaced=False),
    ],
}  # fmt: skip
KINDS = {one.plural: one.kind for found in GROUPS.values() for one in found}
VERSIONS = {one.plural: version for version, found in GROUPS.items() for one in found}
CLUSTER_WIDE = {one.plural for found in GROUPS.values() for one in found if not one.is_namespaced}

_SHORT = {"deployments": ["deploy"], "namespaces": ["ns"], "pods": ["po"], "statefulsets": ["sts"]}
_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def describe(method: str, path: str) -> Object | None:
    """The answer to a question about the API itself; None where the path is none of these."""
    return _answers().get(path) if method == "GET" else None


@functools.cache
def _answers() -> dict[str, Object]:
    groups = []
    found: dict[str, Object] = {"/api": {"kind": "APIVersions", "versions": ["v1"]}}
    described: dict[str, Object] = {}
    for version, resources in GROUPS.items():
        group, _, plain = version.rpartition("/")
        served = {"groupVersion": version, "version": plain}
        if group:
            groups.append({"name": group, "versions": [served], "preferredVersion": served})
        path = f"/apis/{version}" if group else f"/api/{version}"
        listed = [line for one in resources for line in _lines(one)]
        found[path] = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": listed}
        described[path.lstrip("/")] = {"serverRelativeURL": f"/openapi/v3{path}"}
        found[f"/openapi/v3{path}"] = _description(path, group, plain, resources)
    found["/apis"] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    found["/openapi/v3"] = {"paths": described}
    return found


def _lines(one: Resource) -> list[Object]:
    about = {
        "namespaced": one.is_namespaced,
        "singularName": one.kind.lower(),
        "shortNames": _SHORT.get(one.plural, []),
    }
    whole = {"name": one.plural, "kind": one.kind, "verbs": _VERBS, **about}
    return [whole, *(_part(one, part) for part in one.parts)]


def _part(one: Resource, part: str) -> Object:
    kind = {"scale": {"group": "autoscaling", "version": "v1", "kind": "Scale"}}.get(part, {"kind": one.kind})
    return {"name": f"{one.plural}/{part}", "singularName": "", "namespaced": True, "verbs": ["get", "patch"], **kind}


def _description(path: str, group: str, version: str, resources: list[Resource]) -> Object:
    checked = [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}]
    paths = {}
    for one in resources:
        space = "/namespaces/{namespace}" if one.is_namespaced else ""
        kind = {"group": group, "version": version, "kind": one.kind}
        asked = {"x-kubernetes-group-version-kind": kind, "parameters": checked, "responses": {}}
        paths[f"{path}{space}/{one.plural}/{{name}}"] = {"patch": asked}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": version}, "paths": paths}
