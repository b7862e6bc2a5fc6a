"""The servers that are named, or what stands for the one that is not, and an instance's settings for them."""

from __future__ import annotations

import os
from dataclasses import dataclass

from common.providers.forge.gitea.client import Client
from common.providers.runtime.cluster.client import Cluster
from common.providers.runtime.cluster_objects import names as places
from tests.e2e.remote_story import Places

KUBECONFIG = os.environ.get("KUBECONFIG")
IMAGE = os.environ.get("AIWORKER_TEST_IMAGE", "python:3.13-slim")


@dataclass(frozen=True)
class Names:
    """What nobody else has: the organisation at the forge, the instance in the cluster, the project."""

    owner: str
    instance: str
    project: str


@dataclass(frozen=True)
class Server:
    client: Client
    token: str


def namespaces_of(cluster: Cluster, names: Names) -> list[str]:
    found = cluster.items(places.path("namespaces"), labels=places.instance_selector(names.instance))
    return [one["metadata"]["name"] for one in found]


def environ_of(forge: Server, names: Names) -> dict[str, str]:
    chosen = {
        "AIWORKER_INSTANCE": names.instance,
        "AIWORKER_FORGE": "gitea",
        "AIWORKER_FORGE_OWNER": names.owner,
        "GITEA_URL": forge.client.url,
        "GITEA_TOKEN": forge.token,
    }
    if KUBECONFIG:
        chosen |= {
            "AIWORKER_RUNTIME": "kubernetes",
            "KUBECONFIG": os.pathsep.join(os.path.abspath(path) for path in KUBECONFIG.split(os.pathsep)),
            "AIWORKER_KUBE_DOMAIN": "apps.test",
            "AIWORKER_KUBE_IMAGE": IMAGE,
            "AIWORKER_KUBE_HEALTH": "readiness",
        } | {name: value for name, value in os.environ.items() if name.startswith("AIWORKER_KUBE_")}
    return chosen


def places_of(forge: Server, names: Names, environ: dict[str, str]) -> Places:
    account = forge.client.get("/user").body
    return Places(
        gitea=(forge.client.url, account["login"], forge.token),
        ingress_url=environ.get("AIWORKER_KUBE_INGRESS_URL"),
        has_bodies=environ.get("AIWORKER_KUBE_HEALTH", "http") == "http",
        name=names.project,
    )
