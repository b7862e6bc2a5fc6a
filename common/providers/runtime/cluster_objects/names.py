"""Names, labels, hosts and API paths of AiWorker's objects in a cluster. Pure functions: nothing is fetched.

Every object has the labels of `labels()`, by which AiWorker finds its objects and recognises them as its own.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import quote

from common.errors import ProviderRefused
from common.settings.kubernetes import amount
from common.values.delivery.app import App, ProjectNamespace
from common.values.names import host_names

PROJECT = "aiworker.dev/project-id"
APP = "aiworker.dev/app"
VERSION = "aiworker.dev/version"
CHECK = "aiworker.dev/check"
COMMIT = "aiworker.dev/commit"
VERDICT = "aiworker.dev/verdict"
HEALTH_SECONDS = "aiworker.dev/health-seconds"
HEALTH_PATH = "aiworker.dev/health-path"
HEALTH_CONTAINS = "aiworker.dev/health-contains"
TIMEOUT_SECONDS = "aiworker.dev/timeout-seconds"
CHECK_SETTINGS = "aiworker.dev/check-settings"
"""Annotation of a check's Job: see Check.settings."""
IMAGE = "aiworker.dev/image"
URL = "aiworker.dev/url"
"""Annotation of a Deployment: the app's address as its Ingress was written with it."""
WAS_HEALTHY = "aiworker.dev/was-healthy"
"""Annotation of a Deployment: its version served before and was put back."""
MANAGED_BY = "app.kubernetes.io/managed-by"
LIMITS = "aiworker.dev/limits"
"""Annotation of a namespace: a digest of its quota and policies, which are applied again when it differs."""
INSTANCE = "app.kubernetes.io/instance"

PRODUCTION = "production"
STAGING = "staging"

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")

_GROUPS = {
    "namespaces": "api/v1",
    "secrets": "api/v1",
    "services": "api/v1",
    "pods": "api/v1",
    "configmaps": "api/v1",
    "serviceaccounts": "api/v1",
    "resourcequotas": "api/v1",
    "limitranges": "api/v1",
    "deployments": "apis/apps/v1",
    "replicasets": "apis/apps/v1",
    "jobs": "apis/batch/v1",
    "ingresses": "apis/networking.k8s.io/v1",
    "networkpolicies": "apis/networking.k8s.io/v1",
}
_PLURAL = {
    "Namespace": "namespaces",
    "Secret": "secrets",
    "Service": "services",
    "ConfigMap": "configmaps",
    "ServiceAccount": "serviceaccounts",
    "ResourceQuota": "resourcequotas",
    "LimitRange": "limitranges",
    "Deployment": "deployments",
    "Job": "jobs",
    "Ingress": "ingresses",
    "NetworkPolicy": "networkpolicies",
}


def path(plural: str, namespace: str | None = None, name: str | None = None) -> str:
    """Return the API path of an object; without a name, of the collection; without a namespace, cluster-wide."""
    parts = [_GROUPS[plural]]
    if namespace is not None:
        parts += ["namespaces", quote(namespace, safe="")]
    if namespace is None or plural != "namespaces":
        parts.append(plural)
    if name is not None:
        parts.append(quote(name, safe=""))
    return "/" + "/".join(parts)


def path_of(manifest: dict[str, object]) -> str:
    """Return the API path of a manifest's object."""
    about = manifest["metadata"]
    assert isinstance(about, dict)
    kind = _PLURAL[str(manifest["kind"])]
    if kind == "namespaces":
        return path(kind, about["name"])
    return path(kind, about["namespace"], about["name"])


def labels(instance: str, space: ProjectNamespace, **more: str) -> dict[str, str]:
    return {MANAGED_BY: "aiworker", INSTANCE: instance, PROJECT: label("project id", space.project_id), **more}


def selector(**wanted: str) -> str:
    return ",".join(f"{name}={value}" for name, value in wanted.items())


def instance_selector(instance: str) -> str:
    """Return the label selector of all objects of this AiWorker instance."""
    return f"{MANAGED_BY}=aiworker,{INSTANCE}={instance}"


def name(what: str, value: str) -> str:
    """Return the value if it is a valid Kubernetes name (RFC 1123 label); raise ProviderRefused (`invalid`) if not."""
    if not _NAME.fullmatch(value):
        raise ProviderRefused(f"{what} {value[:80]!r} is not a valid Kubernetes name", code="invalid")
    return value


def label(what: str, value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise ProviderRefused(f"{what} {value[:80]!r} is not a valid Kubernetes label value", code="invalid")
    return value


def quantity(what: str, value: str) -> str:
    try:
        is_some = amount(value) > 0
    except ValueError as error:
        message = f"{what} {value[:80]!r} is not a quantity such as 512Mi or 500m"
        raise ProviderRefused(message, code="invalid") from error
    if not is_some:
        # The kubelet sets no limit for 0, and the quota does not count it.
        raise ProviderRefused(f"{what} is {value}, which Kubernetes takes as no limit at all", code="invalid")
    return value


def is_preview(app: App) -> bool:
    return app.name not in {STAGING, PRODUCTION}


def digest(*parts: str) -> str:
    """Return 12 hex digits of a hash of these parts, for use in a name."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def env_secret(app: App, version_id: str) -> str:
    return f"{app.name}-env-{digest(version_id)}"


def source_secret(name_of: str, version_id: str) -> str:
    return f"{name_of}-source-{digest(version_id)}"


def check_name(check_id: str) -> str:
    return f"check-{digest(check_id)}"


def image_record(commit: str, image: str) -> str:
    return f"image-{digest(commit, image)}"


@dataclass(frozen=True)
class Hosts:
    """The public hosts of apps. domain: the suffix of every host."""

    domain: str
    is_https: bool

    def host(self, app: App) -> str:
        """Return `task-<short id>.preview.<domain>`, or one of the two of `host_names`, followed by the domain.

        Names of projects are chosen so that no other project has the same host.
        """
        staging, production = host_names(app.space.namespace)
        first = {STAGING: staging, PRODUCTION: production}.get(app.name, f"{app.name}.preview")
        return f"{first}.{self.domain}"

    def url(self, app: App) -> str:
        return f"{'https' if self.is_https else 'http'}://{self.host(app)}"
