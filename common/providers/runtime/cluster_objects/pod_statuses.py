"""What the statuses of pods and their containers say. Pure functions.

The codes and sentences are those of `reasons`, which judges Deployments, Jobs and agents by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from common.providers.runtime.cluster_objects import check_reports, preparation
from common.providers.runtime.cluster_objects.types import KubeObject
from common.values.delivery.app import CHECKOUT_FAILED, CONFIG, NOTHING_TO_RUN_EXIT
from common.values.needs import SETUP_SECONDS
from common.values.testing.check import OVERLAY_FAILED, OVERLAY_FAILED_EXIT, CheckEnd

_IMAGE = {"InvalidImageName", "ErrImageNeverPull"}
_IMAGE_PASSES = {"ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable"}
"""The kubelet tries again: the registry may be away, or the image may be pushed only now."""
_CONFIG = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_PASSES = ("timed out waiting for the condition", "context deadline exceeded")
"""Parts of messages with a reason of _CONFIG if the kubelet or its container runtime was slow: it soon tries again."""
_FULL = ("Insufficient ", "Too many pods")
"""Parts of the scheduler's message if suitable nodes exist but are full."""
SERVICE_FAILED = "service_failed"


def pod_problem(pod: KubeObject) -> tuple[str, str] | None:
    """Return (code, reason) of a problem that waiting does not solve; None if there is none."""
    status = pod.get("status", {})
    for container in status.get("initContainerStatuses", []):
        if problem := _waiting_problem(container) or _first_problem(container, pod):
            return problem
    for container in status.get("containerStatuses", []):
        if problem := _waiting_problem(container):
            return problem
    return None


def awaits_image(pods: Sequence[KubeObject]) -> tuple[str, str] | None:
    """Return (code, reason) if an image could not be fetched so far, which may pass; None if none is waited for."""
    for pod in pods:
        status = pod.get("status", {})
        for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
            if problem := _image_problem(container, _IMAGE_PASSES):
                return problem
    return None


def is_removed(pod: KubeObject) -> bool:
    """Whether the cluster ended the pod, such as by an eviction. It stays listed, and another pod replaces it."""
    return pod.get("status", {}).get("phase") == "Failed" and pod_reason([pod]) is not None


def restarts(pods: Sequence[KubeObject]) -> int:
    """Return the number of restarts of these pods' containers."""
    return sum(
        container.get("restartCount", 0)
        for pod in pods
        for container in pod.get("status", {}).get("containerStatuses", [])
    )


def ready_seconds(pods: Sequence[KubeObject], now: datetime) -> float:
    """Return for how many seconds all of the pods have been ready; 0 if one is not."""
    spans = []
    for pod in pods:
        ready = condition_of(pod.get("status", {}), "Ready") or {}
        if ready.get("status") != "True" or "lastTransitionTime" not in ready:
            return 0.0
        spans.append((now - datetime.fromisoformat(ready["lastTransitionTime"])).total_seconds())
    return max(0.0, min(spans, default=0.0))


def image_digest(pods: Sequence[KubeObject]) -> str | None:
    """Return the image of a ready container as `name@sha256:…`; None if the node does not report the digest."""
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses", []):
            image = str(container.get("imageID", "")).removeprefix("docker-pullable://")
            if container.get("ready") and "@sha256:" in image:
                return image
    return None


def ended_container(pods: Sequence[KubeObject]) -> KubeObject | None:
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses", []):
            terminated = container.get("state", {}).get("terminated")
            if terminated is not None:
                found: KubeObject = terminated
                return found
    return None


def no_node(pods: Sequence[KubeObject]) -> tuple[str, str] | None:
    """Return (code, reason) if a pod can't be scheduled: `no_room` if suitable nodes are full, else `no_node`.

    None if all pods are scheduled or the scheduler has not tried yet.
    """
    for pod in pods:
        scheduled = condition_of(pod.get("status", {}), "PodScheduled") or {}
        if scheduled.get("status") == "False":
            message = str(scheduled.get("message", ""))
            code = "no_room" if any(word in message for word in _FULL) else "no_node"
            return code, f"no node accepts its pod: {message}".rstrip(": ")
    return None


def is_over_deadline(pods: Sequence[KubeObject]) -> bool:
    return any(pod.get("status", {}).get("reason") == "DeadlineExceeded" for pod in pods)


def pod_reason(pods: Sequence[KubeObject]) -> str | None:
    """Return why a pod as a whole failed, such as Evicted; None if only its program ended."""
    for pod in pods:
        status = pod.get("status", {})
        if status.get("phase") == "Failed" and status.get("reason"):
            return f"{status['reason']}: {status.get('message', '')}".rstrip(": ")
        target = condition_of(status, "DisruptionTarget")
        if target is not None and target.get("status") == "True":
            return f"{target.get('reason')}: {target.get('message', '')}".rstrip(": ")
    return None


def memory_limit(pods: Sequence[KubeObject]) -> str:
    for pod in pods:
        limits = pod["spec"]["containers"][0].get("resources", {}).get("limits", {})
        if "memory" in limits:
            return f", {limits['memory']}"
    return ""


def time_of(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def condition_of(status: KubeObject, kind: str) -> KubeObject | None:
    for condition in status.get("conditions", []) or []:
        if condition.get("type") == kind:
            found: KubeObject = condition
            return found
    return None


def _image_problem(container: KubeObject, reasons: set[str]) -> tuple[str, str] | None:
    waiting = container.get("state", {}).get("waiting") or {}
    reason, message = waiting.get("reason", ""), str(waiting.get("message", "")).strip()
    if reason not in reasons:
        return None
    return "image", f"the image {container.get('image', '')} can't be fetched ({reason}): {message}".rstrip(": ")


def _waiting_problem(container: KubeObject) -> tuple[str, str] | None:
    waiting = container.get("state", {}).get("waiting") or {}
    reason, message = waiting.get("reason", ""), str(waiting.get("message", "")).strip()
    if problem := _image_problem(container, _IMAGE):
        return problem
    if reason in _CONFIG and not any(words in message for words in _PASSES):
        return CONFIG, f"its container can't be created ({reason}): {message}".rstrip(": ")
    return None if _is_first(container) else crash_of(container)


def crash_of(container: KubeObject) -> tuple[str, str] | None:
    """Return (code, reason) if the container's program ends again and again; None if not."""
    if (container.get("state", {}).get("waiting") or {}).get("reason") == "CrashLoopBackOff":
        last = container.get("lastState", {}).get("terminated", {})
        count = container.get("restartCount", 0)
        if last.get("reason") == "OOMKilled":
            return "memory", f"it was killed {count} times: it used more memory than its limit"
        return "exited", f"it exited with {last.get('exitCode', '?')} and was restarted {count} times"
    return None


def _is_first(container: KubeObject) -> bool:
    """Whether it is one of the containers that come before the app's or the check's."""
    name = str(container.get("name", ""))
    return name in {"checkout", preparation.SETUP} or name.startswith(preparation.SERVICE_PREFIX)


def _first_problem(container: KubeObject, pod: KubeObject) -> tuple[str, str] | None:
    """Return why an init container failed; None if it did not, or if the cluster removed the pod meanwhile.

    What reads the reports may fail: then there is none.
    """
    name = str(container.get("name", ""))
    if name == check_reports.NAME or pod_reason([pod]):
        return None
    if name == "checkout":
        return _checkout_problem(container)
    states = container.get("state", {}), container.get("lastState", {})
    ended = next((one["terminated"] for one in states if one.get("terminated", {}).get("exitCode")), None)
    if ended is None:
        return None
    is_out = ended.get("reason") == "OOMKilled"
    how = "it used more memory than its limit" if is_out else f"it exited with {ended['exitCode']}"
    last = (str(ended.get("message", "")).strip().splitlines() or [""])[-1]
    if name != preparation.SETUP:
        # A database of a pod that ends by itself is told to end, too.
        is_over = pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}
        if is_over or _has_main_begun(pod):
            return None
        return SERVICE_FAILED, f"the {name} failed: {how}: {last}".rstrip(": ")
    if ended["exitCode"] == preparation.TIMED_OUT_EXIT:
        how = f"it took longer than {SETUP_SECONDS:g} s"
    return CheckEnd.SETUP_FAILED, f"the setup command failed: {how}: {last}".rstrip(": ")


def _has_main_begun(pod: KubeObject) -> bool:
    states = [one.get("state", {}) for one in pod.get("status", {}).get("containerStatuses", [])]
    return any("running" in state or "terminated" in state for state in states)


def _checkout_problem(container: KubeObject) -> tuple[str, str] | None:
    states = container.get("state", {}), container.get("lastState", {})
    for state in states:
        ended = state.get("terminated")
        if ended is None or ended.get("exitCode", 0) == 0:
            continue
        message = (str(ended.get("message", "")).strip().splitlines() or [""])[-1]
        if ended["exitCode"] == NOTHING_TO_RUN_EXIT:
            return "nothing_to_run", message or "there is nothing to run"
        if ended["exitCode"] == OVERLAY_FAILED_EXIT:
            return CheckEnd.SETUP_FAILED, f"{OVERLAY_FAILED}: {message}".rstrip(": ")
        if ended.get("reason") == "OOMKilled":
            message = "git used more memory than its limit"
        return CHECKOUT_FAILED, f"the commit could not be checked out: {message or ended['exitCode']}"
    return None
