"""Which logs of a pod people may want to read."""

from __future__ import annotations

from common.providers.runtime import preparing
from common.providers.runtime.objects import KubeObject


def containers_with_logs(pod: KubeObject) -> list[str]:
    """Return the containers whose logs to read: the checkout or the setup command if it failed, else the setup command
    and the containers that have started."""
    status = pod.get("status", {})
    first = preparing.logged(status.get("initContainerStatuses", []))
    for container in first:
        ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
        if ended and ended.get("exitCode"):
            return [container["name"]]
    begun = [one for one in first if one["name"] == preparing.SETUP] + status.get("containerStatuses", [])
    return [container["name"] for container in begun if _has_begun(container)]


def _has_begun(container: KubeObject) -> bool:
    return bool({"running", "terminated"} & set(container.get("state", {}))) or bool(container.get("restartCount"))


def has_restarted(pod: KubeObject, name: str) -> bool:
    containers = pod.get("status", {}).get("containerStatuses", [])
    return any(one["name"] == name and one.get("restartCount", 0) > 0 for one in containers)
