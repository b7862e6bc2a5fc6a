"""Translate the statuses of Deployments, Jobs and pods into a phase and a reason. Pure functions.

The codes are those of AppState. The reasons are for the people of the project: they contain the image, the exit code
or the limit, and the cluster's own message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from common.providers.runtime import check_reports, preparing
from common.providers.runtime.objects import KubeObject
from common.values.agent_pod import PodPhase, PodState
from common.values.app import NOTHING_TO_RUN_EXIT, AppPhase
from common.values.check import OVERLAY_FAILED, OVERLAY_FAILED_EXIT, CheckEnd, CheckPhase, CheckState
from common.values.needs import SETUP_SECONDS

SOON = ("being terminated", "status unknown for quota", "error looking up service account", "not yet ready to handle")
"""Parts of messages of temporary refusals: the namespace is being deleted or was just created, or the API server has
just started."""

_IMAGE = {"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_CONFIG = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_PASSES = ("timed out waiting for the condition", "context deadline exceeded")
"""Parts of messages with a reason of _CONFIG if the kubelet or its container runtime was slow: it soon tries again."""
_FULL = ("Insufficient ", "Too many pods")
"""Parts of the scheduler's message if suitable nodes exist but are full."""
_SERVICE_FAILED = "service_failed"
_NEVER_BEGAN = {"StartError", "ContainerCannotRun"}


@dataclass(frozen=True)
class Judgement:
    """The state of a rollout. code and reason: why it failed or what it waits for; None otherwise."""

    phase: AppPhase
    code: str | None = None
    reason: str | None = None


def judge_rollout(deployment: KubeObject, pods: Sequence[KubeObject]) -> Judgement:
    """Judge the present rollout of a Deployment. pods: those of the wanted version."""
    status = deployment.get("status", {})
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 1):
        return Judgement(AppPhase.STARTING)
    if is_complete(deployment):
        return Judgement(AppPhase.LIVE)
    for pod in pods:
        if problem := pod_problem(pod):
            return Judgement(AppPhase.FAILED, *problem)
    progress = _condition(status, "Progressing")
    is_late = progress is not None and progress.get("reason") == "ProgressDeadlineExceeded"
    refusal = _condition(status, "ReplicaFailure")
    if refusal is not None and refusal.get("status") == "True":
        message = str(refusal.get("message", ""))
        if "exceeded quota" in message:
            # Not final before the deadline: pods being deleted still count, and previews may be stopped to make room.
            phase = AppPhase.FAILED if is_late else AppPhase.STARTING
            return Judgement(phase, "quota", f"the project's quota is used up: {message}")
        if any(fragment in message for fragment in SOON):
            return Judgement(AppPhase.STARTING)
        return Judgement(AppPhase.FAILED, "config", f"the cluster refused to create its pod: {message}")
    if is_late:
        return Judgement(AppPhase.FAILED, *_why_late(deployment, pods))
    return Judgement(AppPhase.STARTING, *(_no_node(pods) or ()))


def judge_live(deployment: KubeObject, pods: Sequence[KubeObject]) -> Judgement:
    """Judge a version that was live before. pods: its pods.

    It has failed only if its own program keeps crashing. A new pod of it, such as after a drain, may wait for its image
    or its code: that is no fault of the version, and a rollback would wait for the same.
    """
    if deployment.get("status", {}).get("availableReplicas", 0) > 0:
        return Judgement(AppPhase.LIVE)
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses", []):
            if problem := _crash(container):
                return Judgement(AppPhase.FAILED, "keeps_dying", f"it was live and keeps crashing: {problem[1]}")
    waits = next(filter(None, map(pod_problem, pods)), None) or _no_node(pods)
    return Judgement(AppPhase.STARTING, *(waits or ()))


def is_complete(deployment: KubeObject) -> bool:
    """Whether all replicas are of the wanted version and available, and no other replica is left."""
    wanted = deployment["spec"].get("replicas", 1)
    status = deployment.get("status", {})
    counts = {status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")}
    return counts == {wanted} and status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 1)


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


def is_removed(pod: KubeObject) -> bool:
    """Whether the cluster ended the pod, such as by an eviction. It stays listed, and another pod replaces it."""
    return pod.get("status", {}).get("phase") == "Failed" and _pod_reason([pod]) is not None


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
        ready = _condition(pod.get("status", {}), "Ready") or {}
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


def judge_check(job: KubeObject, pods: Sequence[KubeObject], *, timeout_seconds: float, now: datetime) -> CheckState:
    """Judge a check's Job. pods: the Job's pods.

    Only a command that has started can pass or fail, and its timeout counts from its start: the time that the cluster
    needs before (quota, scheduling, image, code) does not count against the commit.
    """
    status = job.get("status", {})
    failed, complete = _condition(status, "Failed"), _condition(status, "Complete")
    if complete is not None and complete.get("status") == "True":
        return _judged(CheckPhase.PASSED, 0)
    ended = _ended(pods)
    if ended is not None and not (failed is None and ended.get("exitCode") == 0):
        return _judge_exit(ended, pods, timeout_seconds)
    for pod in pods:
        if problem := pod_problem(pod):
            if problem[0] == CheckEnd.SETUP_FAILED:
                return _judged(CheckPhase.FAILED, None, problem[1], CheckEnd.SETUP_FAILED)
            return _judged(CheckPhase.BROKEN, None, problem[1], problem[0] if problem[0] == _SERVICE_FAILED else None)
    if ended is None and not _is_late(pods) and (reason := _pod_reason(pods)):
        # Such as on a node that is gone: nothing there ends the container, which seems to run on.
        return _judged(CheckPhase.BROKEN, None, f"the cluster removed its pod: {reason}")
    began = _began(pods)
    if began is not None and (now - began).total_seconds() > timeout_seconds:
        return _too_slow(timeout_seconds)
    if _is_late(pods) or (failed is not None and failed.get("status") == "True"):
        message = (failed or {}).get("message") or (failed or {}).get("reason") or "the cluster gave no reason"
        return _judged(CheckPhase.BROKEN, None, f"it could not be run: {_pod_reason(pods) or message}")
    if began is None and (waits := _no_node(pods)):
        return _judged(CheckPhase.WAITING, None, waits[1], waits[0])
    return _judged(CheckPhase.RUNNING)


def _too_slow(timeout_seconds: float) -> CheckState:
    return _judged(CheckPhase.FAILED, None, f"it took longer than {timeout_seconds:g} s", CheckEnd.TIMEOUT)


def _judged(
    phase: CheckPhase, exit_code: int | None = None, reason: str | None = None, code: str | None = None
) -> CheckState:
    """Return the state with an empty log: the caller adds the log."""
    return CheckState(phase, exit_code, "", reason, code)


def eviction_reason(pod: KubeObject) -> str | None:
    """Return why the cluster removes the pod, such as an eviction; None if the cluster itself does not remove it."""
    return _pod_reason([pod])


def judge_agent(pod: KubeObject) -> PodState:
    """Judge the pod of an agent."""
    status = pod.get("status", {})
    phase, ended = status.get("phase"), _ended([pod])
    if phase == "Succeeded":
        return PodState(PodPhase.ENDED)
    if _is_late([pod]):
        seconds = pod["spec"].get("activeDeadlineSeconds")
        return PodState(PodPhase.FAILED, f"its pod ran longer than {seconds} s")
    if ended is not None and ended.get("reason") == "OOMKilled":
        return PodState(PodPhase.FAILED, f"its pod was killed: it used more memory than its limit{_limit([pod])}")
    if reason := _pod_reason([pod]):
        return PodState(PodPhase.FAILED, f"the cluster removed its pod: {reason}")
    if problem := pod_problem(pod):
        return PodState(PodPhase.FAILED, f"its pod can't run: {problem[1]}")
    if ended is not None or phase == "Failed":
        message = (str((ended or {}).get("message", "")).strip().splitlines() or [""])[-1]
        code = (ended or {}).get("exitCode", "?")
        return PodState(PodPhase.FAILED, f"its pod exited with {code}: {message[:500]}".rstrip(": "))
    if phase == "Running":
        return PodState(PodPhase.RUNNING)
    waits = _no_node([pod])
    return PodState(PodPhase.STARTING, waits[1] if waits else None)


def _judge_exit(ended: KubeObject, pods: Sequence[KubeObject], timeout_seconds: float) -> CheckState:
    code = int(ended.get("exitCode", 0))
    if ended.get("reason") in _NEVER_BEGAN:
        message = f"its container could not be started: {ended.get('message', '')}".rstrip(": ")
        return _judged(CheckPhase.BROKEN, None, message)
    if _is_late(pods):
        # The pod's deadline killed the command, so the exit code is the signal's. Its own running time decides.
        began, end = _time(ended.get("startedAt")), _time(ended.get("finishedAt"))
        if began is None or end is None or (end - began).total_seconds() >= timeout_seconds:
            return _too_slow(timeout_seconds)
        message = "fetching its image and code took too long: its pod's deadline passed before the command's time limit"
        return _judged(CheckPhase.BROKEN, None, message)
    if ended.get("reason") == "OOMKilled":
        message = f"it was killed: it used more memory than its limit{_limit(pods)}"
        return _judged(CheckPhase.FAILED, None, message, CheckEnd.MEMORY)
    if reason := _pod_reason(pods):
        return _judged(CheckPhase.BROKEN, None, f"the cluster removed its pod: {reason}")
    return _judged(CheckPhase.FAILED, code, f"it exited with {code}", CheckEnd.EXITED)


def _ended(pods: Sequence[KubeObject]) -> KubeObject | None:
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses", []):
            terminated = container.get("state", {}).get("terminated")
            if terminated is not None:
                found: KubeObject = terminated
                return found
    return None


def _began(pods: Sequence[KubeObject]) -> datetime | None:
    """Return when the running container started; None if none is running."""
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses", []):
            if running := container.get("state", {}).get("running"):
                return _time(running.get("startedAt"))
    return None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _no_node(pods: Sequence[KubeObject]) -> tuple[str, str] | None:
    """Return (code, reason) if a pod can't be scheduled: `no_room` if suitable nodes are full, else `no_node`.

    None if all pods are scheduled or the scheduler has not tried yet.
    """
    for pod in pods:
        scheduled = _condition(pod.get("status", {}), "PodScheduled") or {}
        if scheduled.get("status") == "False":
            message = str(scheduled.get("message", ""))
            code = "no_room" if any(word in message for word in _FULL) else "no_node"
            return code, f"no node accepts its pod: {message}".rstrip(": ")
    return None


def _is_late(pods: Sequence[KubeObject]) -> bool:
    return any(pod.get("status", {}).get("reason") == "DeadlineExceeded" for pod in pods)


def _pod_reason(pods: Sequence[KubeObject]) -> str | None:
    """Return why a pod as a whole failed, such as Evicted; None if only its program ended."""
    for pod in pods:
        status = pod.get("status", {})
        if status.get("phase") == "Failed" and status.get("reason"):
            return f"{status['reason']}: {status.get('message', '')}".rstrip(": ")
        target = _condition(status, "DisruptionTarget")
        if target is not None and target.get("status") == "True":
            return f"{target.get('reason')}: {target.get('message', '')}".rstrip(": ")
    return None


def _waiting_problem(container: KubeObject) -> tuple[str, str] | None:
    waiting = container.get("state", {}).get("waiting") or {}
    reason, message = waiting.get("reason", ""), str(waiting.get("message", "")).strip()
    if reason in _IMAGE:
        return "image", f"the image {container.get('image', '')} can't be fetched ({reason}): {message}".rstrip(": ")
    if reason in _CONFIG and not any(words in message for words in _PASSES):
        return "config", f"its container can't be created ({reason}): {message}".rstrip(": ")
    return None if _is_first(container) else _crash(container)


def _crash(container: KubeObject) -> tuple[str, str] | None:
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
    return name in {"checkout", preparing.SETUP} or name.startswith(preparing.SERVICE_PREFIX)


def _first_problem(container: KubeObject, pod: KubeObject) -> tuple[str, str] | None:
    """Return why an init container failed; None if it did not, or if the cluster removed the pod meanwhile.

    What reads the reports may fail: then there is none.
    """
    name = str(container.get("name", ""))
    if name == check_reports.NAME or _pod_reason([pod]):
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
    if name != preparing.SETUP:
        # A database of a pod that ends by itself is told to end, too.
        is_over = pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}
        if is_over or _has_main_begun(pod):
            return None
        return _SERVICE_FAILED, f"the {name} failed: {how}: {last}".rstrip(": ")
    if ended["exitCode"] == preparing.TIMED_OUT_EXIT:
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
        return "checkout_failed", f"the commit could not be checked out: {message or ended['exitCode']}"
    return None


def _why_late(deployment: KubeObject, pods: Sequence[KubeObject]) -> tuple[str, str]:
    seconds = deployment["spec"].get("progressDeadlineSeconds", 600)
    for pod in pods:
        scheduled = _condition(pod.get("status", {}), "PodScheduled") or {}
        if scheduled.get("status") == "False":
            message = scheduled.get("message", "")
            return "no_room", f"no node accepted its pod within {seconds} s: {message}".rstrip(": ")
    running = [pod for pod in pods if pod.get("status", {}).get("phase") == "Running"]
    if running:
        path = deployment["metadata"].get("annotations", {}).get("aiworker.dev/health-path", "/")
        return "unhealthy", f"it runs, but {path} gave no healthy answer within {seconds} s"
    containers = [one for pod in pods for one in pod.get("status", {}).get("containerStatuses", [])]
    waiting = [one.get("state", {}).get("waiting", {}) for one in containers]
    why = next((f": {one.get('reason')}: {one['message']}" for one in waiting if one.get("message")), "")
    return "not_started", f"its container did not start within {seconds} s{why}"


def _limit(pods: Sequence[KubeObject]) -> str:
    for pod in pods:
        limits = pod["spec"]["containers"][0].get("resources", {}).get("limits", {})
        if "memory" in limits:
            return f", {limits['memory']}"
    return ""


def _condition(status: KubeObject, kind: str) -> KubeObject | None:
    for condition in status.get("conditions", []) or []:
        if condition.get("type") == kind:
            found: KubeObject = condition
            return found
    return None
