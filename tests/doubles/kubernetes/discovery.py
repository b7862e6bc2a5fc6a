"""The kinds of the API that the double has."""

from __future__ import annotations

from typing import NamedTuple


class Resource(NamedTuple):
    plural: str
    kind: str
    is_namespaced: bool = True


GROUPS = {
    "v1": [
        Resource("namespaces", "Namespace", is_namespaced=False), Resource("secrets", "Secret"),
        Resource("services", "Service"), Resource("pods", "Pod"),
        Resource("configmaps", "ConfigMap"), Resource("serviceaccounts", "ServiceAccount"),
        Resource("resourcequotas", "ResourceQuota"), Resource("limitranges", "LimitRange"), Resource("events", "Event"),
    ],
    "apps/v1": [
        Resource("deployments", "Deployment"), Resource("replicasets", "ReplicaSet"),
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
