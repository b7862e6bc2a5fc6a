"""The container of a check's pod that reads what the tests reported, and what becomes of its log.

It is a sidecar of AiWorker's own image, which Kubernetes tells to end when the check's container has ended with all its
processes. Only then does it read the files, from the volumes that both share, and print them packed. The repository's
code runs in other containers: it can write the files, but reaches neither this program nor its log.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from common.providers.runtime.cluster_objects import hardening
from common.providers.runtime.cluster_objects.types import KubeObject, literal
from common.values.testing.check import Check

NAME = "reports"
"""The container, and the volume in which the checkout notes what the container has to know."""
OLDEST = (1, 29)
"""The first version with sidecars. An older one would wait for the end of this container before it begins the check."""
HAND_OVER_SECONDS = 90
"""How long after the check's end its reports are waited for. Kubernetes gives the container 30 s."""
_FOLDER = "/reports"
_SIZE = "16Mi"
_WAIT = "trap 'exec \"$@\"' TERM; sleep infinity & wait"
"""Runs its arguments when the container is told to end. A shell, as it takes no memory while it waits."""
_BEGIN = '[ ! -r "$0" ] || . "$0"; exec sh -c "$1"'
"""Runs the command $1 after the script $0, in any image with a shell."""


def is_supported(version: KubeObject) -> bool:
    """Whether a cluster with this /version has sidecars."""
    numbers = [re.match(r"\d+", str(version.get(part, ""))) for part in ("major", "minor")]
    return tuple(int(found[0]) if found else 0 for found in numbers) >= OLDEST


def with_reports(pod: KubeObject, check: Check, image: str) -> KubeObject:
    """The pod's spec with the container that reads its reports. image: AiWorker's own."""
    checkout, *rest = pod["initContainers"]
    (main,) = pod["containers"]
    wanted = [] if check.test_report is None else [f"--test-report={check.test_report}"]
    only = [f"--only-file={name}" for name in check.only_files]
    only += [f"--left-out={name}" for name in check.left_out]
    measure = ["--measure-coverage"] if check.measures_coverage else []
    arguments = ["--reports", _FOLDER, f"--check-command={check.command}", *wanted, *only, *measure]
    prepare = [*checkout["command"], *map(literal, arguments)]
    checkout = checkout | {"command": prepare, "volumeMounts": _mounts(checkout)}
    command = ["sh", "-c", _BEGIN, f"{_FOLDER}/begin", literal(check.command)]
    main = main | {"command": command, "volumeMounts": _mounts(main, is_read_only=True)}
    volume = {"name": NAME, "emptyDir": {"sizeLimit": _SIZE}}
    return pod | {
        "initContainers": [checkout, _sidecar(main, image), *rest],
        "containers": [main],
        "volumes": [*pod["volumes"], volume],
    }


def _mounts(container: KubeObject, *, is_read_only: bool = False) -> list[KubeObject]:
    return [*container["volumeMounts"], {"name": NAME, "mountPath": _FOLDER, "readOnly": is_read_only}]


def _sidecar(main: KubeObject, image: str) -> KubeObject:
    program = ["python", "-P", "-m", "workers.reports.pod_reports", "--workspace", "/workspace", "--reports", _FOLDER]
    return {
        "name": NAME,
        "image": image,
        "restartPolicy": "Always",
        "command": ["sh", "-c", _WAIT, "sh", *program],
        "env": main["env"],
        "resources": hardening.resources("500m", "256Mi", "64Mi", is_preview=True),
        "securityContext": hardening.container(),
        "volumeMounts": [one | {"readOnly": True} for one in main["volumeMounts"]],
    }


def has_reports(job: KubeObject) -> bool:
    """Whether the Job's pod has the container."""
    return any(one["name"] == NAME for one in job["spec"]["template"]["spec"].get("initContainers", []))


def end_of(pods: Sequence[KubeObject]) -> KubeObject | None:
    """The pod whose check's container has ended; None if there is none."""
    return next((pod for pod in pods if _ended(pod) is not None), None)


def are_awaited(pod: KubeObject, *, now: datetime) -> bool:
    """Whether the container of an ended check may still write its log."""
    status = pod.get("status", {})
    if status.get("phase") in {"Succeeded", "Failed"}:
        return False
    at = (_ended(pod) or {}).get("finishedAt")
    if at is not None and (now - datetime.fromisoformat(at)).total_seconds() > HAND_OVER_SECONDS:
        return False
    containers = status.get("initContainerStatuses", [])
    return any(one.get("name") == NAME and "terminated" not in one.get("state", {}) for one in containers)


def _ended(pod: KubeObject) -> KubeObject | None:
    for container in pod.get("status", {}).get("containerStatuses", []):
        ended: KubeObject | None = container.get("state", {}).get("terminated")
        if ended is not None:
            return ended
    return None
