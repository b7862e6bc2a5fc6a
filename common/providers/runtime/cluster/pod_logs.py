"""The logs of pods: which of them people may want to read, and reading them."""

from __future__ import annotations

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.runtime.cluster.client import Cluster
from common.providers.runtime.cluster_objects import names, preparation
from common.providers.runtime.cluster_objects.types import KubeObject


def containers_with_logs(pod: KubeObject) -> list[str]:
    """Return the containers whose logs to read: the checkout or the setup command if it failed, else the setup command
    and the containers that have started."""
    status = pod.get("status", {})
    first = preparation.logged(status.get("initContainerStatuses", []))
    for container in first:
        ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
        if ended and ended.get("exitCode"):
            return [container["name"]]
    begun = [one for one in first if one["name"] == preparation.SETUP] + status.get("containerStatuses", [])
    return [container["name"] for container in begun if _has_begun(container)]


def _has_begun(container: KubeObject) -> bool:
    return bool({"running", "terminated"} & set(container.get("state", {}))) or bool(container.get("restartCount"))


def has_restarted(pod: KubeObject, name: str) -> bool:
    containers = pod.get("status", {}).get("containerStatuses", [])
    return any(one["name"] == name and one.get("restartCount", 0) > 0 for one in containers)


def read_log(
    cluster: Cluster,
    pod: KubeObject,
    container: str,
    *,
    lines: int,
    timestamps: str = "true",
    previous: str = "false",
    is_required: bool = True,
) -> str:
    """Return the last lines of a container's log; empty if the node has no log, or can't be asked for one that is
    not required."""
    where = names.path("pods", pod["metadata"]["namespace"], pod["metadata"]["name"]) + "/log"
    query = {"container": container, "tailLines": str(lines), "timestamps": timestamps, "previous": previous}
    try:
        return cluster.text(where, **query) or ""
    except ProviderRefused:
        # 400: the container has not started. Its pod's status tells why.
        return ""
    except ProviderUnavailable:
        if is_required:
            raise
        return ""
