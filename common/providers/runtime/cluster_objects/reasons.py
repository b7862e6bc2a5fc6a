"""Translate the statuses of Deployments, Jobs and pods into a phase and a reason. Pure functions.

The codes are those of AppState. The reasons are for the people of the project: they contain the image, the exit code
or the limit, and the cluster's own message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from common.providers.runtime.cluster_objects.pod_statuses import (
    SERVICE_FAILED,
    awaits_image,
    condition_of,
    crash_of,
    ended_container,
    is_over_deadline,
    memory_limit,
    no_node,
    pod_problem,
    pod_reason,
    time_of,
)
from common.providers.runtime.cluster_objects.types import KubeObject
from common.values.delivery.app import WAITS_FOR_SECRETS, AppPhase
from common.values.runs.agent_pod import PodPhase, PodState
from common.values.testing.check import CheckEnd, CheckPhase, CheckState

SOON = ("being terminated", "status unknown for quota", "error looking up service account", "not yet ready to handle")
"""Parts of messages of temporary refusals: the namespace is being deleted or was just created, or the API server has
just started."""

MOST_SECONDS_AFTER_END = 300
"""How long a check's pod may go on after its command: what reads the reports has 30 s, and the kubelet tells of it."""
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
    progress = condition_of(status, "Progressing")
    is_late = progress is not None and progress.get("reason") == "ProgressDeadlineExceeded"
    refusal = condition_of(status, "ReplicaFailure")
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
    return Judgement(AppPhase.STARTING, *(no_node(pods) or awaits_image(pods) or ()))


def judge_live(deployment: KubeObject, pods: Sequence[KubeObject]) -> Judgement:
    """Judge a version that was live before. pods: its pods.

    It has failed only if its own program keeps crashing. A new pod of it, such as after a drain, may wait for its image
    or its code: that is no fault of the version, and a rollback would wait for the same.
    """
    waits = next(filter(None, map(pod_problem, pods)), None) or no_node(pods) or awaits_image(pods)
    if deployment.get("status", {}).get("availableReplicas", 0) > 0:
        return Judgement(AppPhase.LIVE, waits[0] if waits is not None and waits[0] in WAITS_FOR_SECRETS else None)
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses", []):
            if problem := crash_of(container):
                return Judgement(AppPhase.FAILED, "keeps_dying", f"it was live and keeps crashing: {problem[1]}")
    return Judgement(AppPhase.STARTING, *(waits or (None, _why_away(deployment, pods))))


def is_complete(deployment: KubeObject) -> bool:
    """Whether all replicas are of the wanted version and available, and no other replica is left."""
    wanted = deployment["spec"].get("replicas", 1)
    status = deployment.get("status", {})
    counts = {status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")}
    return counts == {wanted} and status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 1)


def judge_check(job: KubeObject, pods: Sequence[KubeObject], *, timeout_seconds: float, now: datetime) -> CheckState:
    """Judge a check's Job. pods: the Job's pods.

    Only a command that has started can pass or fail, and its timeout counts from its start: the time that the cluster
    needs before (quota, scheduling, image, code) does not count against the commit.
    """
    status = job.get("status", {})
    complete = condition_of(status, "Complete")
    # Since Kubernetes 1.31 a Job is Failed only once its pods have ended, which never comes on a node that is gone.
    failed = condition_of(status, "Failed") or condition_of(status, "FailureTarget")
    if complete is not None and complete.get("status") == "True":
        return _judged(CheckPhase.PASSED, 0)
    if failed is None and _goes_on_after_end(pods, now):
        lost = f"its pod has not ended {MOST_SECONDS_AFTER_END} s after its command: its node may be lost"
        return _judged(CheckPhase.BROKEN, None, lost)
    ended = ended_container(pods)
    if ended is not None and not (failed is None and ended.get("exitCode") == 0):
        return _judge_exit(ended, pods, timeout_seconds)
    for pod in pods:
        if problem := pod_problem(pod) or awaits_image([pod]):
            if problem[0] == CheckEnd.SETUP_FAILED:
                return _judged(CheckPhase.FAILED, None, problem[1], CheckEnd.SETUP_FAILED)
            return _judged(CheckPhase.BROKEN, None, problem[1], problem[0] if problem[0] == SERVICE_FAILED else None)
    if ended is None and not is_over_deadline(pods) and (reason := pod_reason(pods)):
        # Such as on a node that is gone: nothing there ends the container, which seems to run on.
        return _judged(CheckPhase.BROKEN, None, f"the cluster removed its pod: {reason}")
    began = _began(pods)
    if began is not None and (now - began).total_seconds() > timeout_seconds:
        return _too_slow(timeout_seconds)
    if is_over_deadline(pods) or (failed is not None and failed.get("status") == "True"):
        message = (failed or {}).get("message") or (failed or {}).get("reason") or "the cluster gave no reason"
        return _judged(CheckPhase.BROKEN, None, f"it could not be run: {pod_reason(pods) or message}")
    if began is None and (waits := no_node(pods)):
        return _judged(CheckPhase.WAITING, None, waits[1], waits[0])
    return _judged(CheckPhase.RUNNING)


def _too_slow(timeout_seconds: float) -> CheckState:
    return _judged(CheckPhase.FAILED, None, f"it took longer than {timeout_seconds:g} s", CheckEnd.TIMEOUT)


def _judged(
    phase: CheckPhase, exit_code: int | None = None, reason: str | None = None, code: str | None = None
) -> CheckState:
    """Return the state with an empty log: the caller adds the log."""
    return CheckState(phase, exit_code, "", reason, code)


def judge_agent(pod: KubeObject) -> PodState:
    """Judge the pod of an agent."""
    status = pod.get("status", {})
    phase, ended = status.get("phase"), ended_container([pod])
    if phase == "Succeeded":
        return PodState(PodPhase.ENDED)
    if is_over_deadline([pod]):
        seconds = pod["spec"].get("activeDeadlineSeconds")
        return PodState(PodPhase.FAILED, f"its pod ran longer than {seconds} s")
    if ended is not None and ended.get("reason") == "OOMKilled":
        return PodState(PodPhase.FAILED, f"its pod was killed: it used more memory than its limit{memory_limit([pod])}")
    if reason := pod_reason([pod]):
        return PodState(PodPhase.FAILED, f"the cluster removed its pod: {reason}")
    if problem := pod_problem(pod):
        return PodState(PodPhase.FAILED, f"its pod can't run: {problem[1]}")
    if ended is not None or phase == "Failed":
        message = (str((ended or {}).get("message", "")).strip().splitlines() or [""])[-1]
        code = (ended or {}).get("exitCode", "?")
        return PodState(PodPhase.FAILED, f"its pod exited with {code}: {message[:500]}".rstrip(": "))
    if phase == "Running":
        return PodState(PodPhase.RUNNING)
    waits = no_node([pod]) or awaits_image([pod])
    return PodState(PodPhase.STARTING, waits[1] if waits else None)


def _judge_exit(ended: KubeObject, pods: Sequence[KubeObject], timeout_seconds: float) -> CheckState:
    code = int(ended.get("exitCode", 0))
    if ended.get("reason") in _NEVER_BEGAN:
        message = f"its container could not be started: {ended.get('message', '')}".rstrip(": ")
        return _judged(CheckPhase.BROKEN, None, message)
    if is_over_deadline(pods):
        # The pod's deadline killed the command, so the exit code is the signal's. Its own running time decides.
        began, end = time_of(ended.get("startedAt")), time_of(ended.get("finishedAt"))
        if began is None or end is None or (end - began).total_seconds() >= timeout_seconds:
            return _too_slow(timeout_seconds)
        message = "fetching its image and code took too long: its pod's deadline passed before the command's time limit"
        return _judged(CheckPhase.BROKEN, None, message)
    if ended.get("reason") == "OOMKilled":
        message = f"it was killed: it used more memory than its limit{memory_limit(pods)}"
        return _judged(CheckPhase.FAILED, None, message, CheckEnd.MEMORY)
    if reason := pod_reason(pods):
        return _judged(CheckPhase.BROKEN, None, f"the cluster removed its pod: {reason}")
    if code == 0:
        return _judged(CheckPhase.BROKEN, None, "its pod was removed before the cluster noted that it had ended")
    return _judged(CheckPhase.FAILED, code, f"it exited with {code}", CheckEnd.EXITED)


def _goes_on_after_end(pods: Sequence[KubeObject], now: datetime) -> bool:
    """Whether the check's command ended long ago in a pod that goes on, so that no more will be heard of it."""
    end = time_of((ended_container(pods) or {}).get("finishedAt"))
    goes_on = any(pod.get("status", {}).get("phase") == "Running" for pod in pods)
    return goes_on and end is not None and (now - end).total_seconds() > MOST_SECONDS_AFTER_END


def _began(pods: Sequence[KubeObject]) -> datetime | None:
    """Return when the running container started; None if none is running."""
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses", []):
            if running := container.get("state", {}).get("running"):
                return time_of(running.get("startedAt"))
    return None


def _why_away(deployment: KubeObject, pods: Sequence[KubeObject]) -> str | None:
    """Why a version that was live does not serve, though nothing keeps its pods from starting; None: it is starting."""
    if deployment["spec"].get("replicas", 1) == 0:
        return "its Deployment was scaled to 0 in the cluster: scale it up there"
    if any(pod.get("status", {}).get("phase") == "Running" for pod in pods):
        path = _health_path(deployment)
        return (
            f"it runs, but {path} gives no healthy answer; the cluster restarts only what ends, so roll it back if "
            "that stays so"
        )
    return None


def _health_path(deployment: KubeObject) -> str:
    return str(deployment["metadata"].get("annotations", {}).get("aiworker.dev/health-path", "/"))


def _why_late(deployment: KubeObject, pods: Sequence[KubeObject]) -> tuple[str, str]:
    seconds = deployment["spec"].get("progressDeadlineSeconds", 600)
    for pod in pods:
        scheduled = condition_of(pod.get("status", {}), "PodScheduled") or {}
        if scheduled.get("status") == "False":
            message = scheduled.get("message", "")
            return "no_room", f"no node accepted its pod within {seconds} s: {message}".rstrip(": ")
    if waits := awaits_image(pods):
        return waits
    running = [pod for pod in pods if pod.get("status", {}).get("phase") == "Running"]
    if running:
        path = _health_path(deployment)
        return "unhealthy", f"it runs, but {path} gave no healthy answer within {seconds} s"
    containers = [one for pod in pods for one in pod.get("status", {}).get("containerStatuses", [])]
    waiting = [one.get("state", {}).get("waiting", {}) for one in containers]
    why = next((f": {one.get('reason')}: {one['message']}" for one in waiting if one.get("message")), "")
    return "not_started", f"its container did not start within {seconds} s{why}"
