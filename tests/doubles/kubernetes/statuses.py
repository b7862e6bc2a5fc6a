"""What the double's one node says of its pods."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tests.doubles.kubernetes.store import Object, now_text

READY_AFTER = 1.0
BACK_OFF_AFTER = 10.0


@dataclass(frozen=True)
class Outcome:
    """How pods do that name the needle anywhere in their manifest.

    kind: healthy, never_ready, image_pull, invalid_image, config, crash, oom, checkout, quota, no_room,
    evicted, ends.
    after_seconds: of the cluster's clock, before a crash or an end.
    """

    kind: str
    after_seconds: float = 0
    exit_code: int = 1
    message: str = ""
    log: str = ""


HEALTHY = Outcome("healthy")


def image_id(image: str) -> str:
    """What a node that fetched the image says it is."""
    digest = hashlib.sha256(image.encode()).hexdigest()
    return f"{image.partition('@')[0].rpartition(':')[0] or image}@sha256:{digest}"


def pod_status(pod: Object, outcome: Outcome, age: float, *, is_once: bool = False) -> Object:
    """What the node says of a pod of this age that does as scripted. is_once: it is never started again."""
    image = pod["spec"]["containers"][0]["image"]
    name = pod["spec"]["containers"][0]["name"]
    main: Object = {"name": name, "image": image, "imageID": "", "ready": False, "restartCount": 0}
    checkout: Object = {"name": "checkout", "image": "own", "imageID": "", "ready": True, "restartCount": 0}
    checkout["state"] = {"terminated": {"exitCode": 0, "reason": "Completed"}}
    main["state"] = {"waiting": {"reason": "PodInitializing"}}
    phase, about, scheduled = "Pending", {}, condition("PodScheduled", "True", "", "")
    crash = outcome.kind in {"crash", "oom"} and age >= READY_AFTER + outcome.after_seconds
    ended = {"exitCode": outcome.exit_code, "reason": "Error", "message": outcome.message}
    if outcome.kind == "oom":
        ended = {"exitCode": 137, "reason": "OOMKilled"}
    if outcome.kind == "no_room":
        message = outcome.message or "0/3 nodes are available: 3 Insufficient memory."
        scheduled = condition("PodScheduled", "False", "Unschedulable", message)
        checkout["state"] = main["state"]
    elif outcome.kind == "evicted":
        phase, about = "Failed", {"reason": "Evicted", "message": outcome.message or "The node was low on memory."}
    elif outcome.kind == "checkout" and age >= READY_AFTER:
        phase = "Failed" if is_once else "Pending"
        checkout |= {"state": {"terminated": ended}, "ready": False}
    elif outcome.kind == "image_pull":
        reason = "ImagePullBackOff" if age >= BACK_OFF_AFTER else "ErrImagePull"
        main["state"] = {
            "waiting": {"reason": reason, "message": outcome.message or f'Back-off pulling image "{image}"'}
        }
    elif outcome.kind == "invalid_image":
        main["state"] = {"waiting": {"reason": "InvalidImageName", "message": outcome.message}}
    elif outcome.kind == "config":
        main["state"] = {"waiting": {"reason": "CreateContainerConfigError", "message": outcome.message}}
    elif outcome.kind == "ends" and age >= READY_AFTER + outcome.after_seconds:
        phase, main["state"] = "Succeeded", {"terminated": {"exitCode": 0, "reason": "Completed"}}
    elif crash and is_once:
        phase, main["state"] = "Failed", {"terminated": ended}
    elif crash:
        phase = "Running"
        restarts = 1 + int((age - READY_AFTER - outcome.after_seconds) / 30)
        main |= {"lastState": {"terminated": ended}, "restartCount": restarts}
        main["state"] = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}}
    elif age >= READY_AFTER:
        phase = "Running"
        main |= {"state": {"running": {"startedAt": now_text()}}, "ready": outcome.kind != "never_ready"}
        main["imageID"] = image_id(image)
    ready = condition("Ready", "True" if main["ready"] else "False", "", "")
    status: Object = {"phase": phase, **about, "conditions": [ready, scheduled], "containerStatuses": [main]}
    if "initContainers" in pod["spec"]:
        status["initContainerStatuses"] = [checkout]
    return status


def job_pod_status(pod: Object, code: int | None, began: str) -> Object:
    """What the node says of a Job's pod whose container it runs; code: how it ended, None while it runs."""
    container = pod["spec"]["containers"][0]
    state: Object = {"running": {"startedAt": began}}
    if code is not None:
        state = {"terminated": {"exitCode": code, "reason": "Completed" if code == 0 else "Error"}}
    phase = {None: "Running", 0: "Succeeded"}.get(code, "Failed")
    about = {"name": container["name"], "image": container["image"], "restartCount": 0, "ready": code is None}
    return {"phase": phase, "conditions": [], "containerStatuses": [about | {"imageID": "", "state": state}]}


def condition(kind: str, status: str, reason: str, message: str) -> Object:
    """One condition of a status, seen now."""
    times = {"lastTransitionTime": now_text(), "lastUpdateTime": now_text()}
    return {"type": kind, "status": status, "reason": reason, "message": message, **times}


def since_when(former: Object, conditions: list[Object]) -> list[Object]:
    """Each condition as it is in the former status, where it says the same: its times say since when it holds."""
    before = {one["type"]: one for one in former.get("conditions", [])}
    return [_same(before.get(one["type"], {}), one) or one for one in conditions]


def _same(former: Object, new: Object) -> Object | None:
    return former if all(former.get(name) == new[name] for name in ("status", "reason", "message")) else None


def kept_times(former: Object, status: Object) -> Object:
    """The status of a pod that had the former one: what goes on has the times at which it began."""
    began = {
        one["name"]: one["state"]["running"] for one in former.get("containerStatuses", []) if "running" in one["state"]
    }
    containers = [
        one | {"state": {"running": began[one["name"]]}} if "running" in one["state"] and one["name"] in began else one
        for one in status["containerStatuses"]
    ]
    return status | {"conditions": since_when(former, status["conditions"]), "containerStatuses": containers}
