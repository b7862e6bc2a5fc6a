"""The settings of an AiWorker that uses both doubles."""

from __future__ import annotations

from pathlib import Path

from tests.doubles.gitea import GiteaDouble
from tests.doubles.kubernetes import ClusterDouble


def settings_of(server: GiteaDouble, cluster: ClusterDouble, folder: Path) -> dict[str, str]:
    """folder: where the kubeconfig is written."""
    return {
        "AIWORKER_FORGE": "gitea",
        "GITEA_URL": server.url,
        "GITEA_TOKEN": server.token,
        "AIWORKER_RUNTIME": "kubernetes",
        "KUBECONFIG": cluster.kubeconfig(folder),
        "AIWORKER_KUBE_DOMAIN": "apps.test",
        "AIWORKER_KUBE_IMAGE": "registry.test/aiworker:1",
        "AIWORKER_KUBE_INGRESS_URL": cluster.url,
    }
