"""The checks of a cluster: a Job for each, whose container runs the check's command.

Like the rest of the runtime, every method reads the cluster, creates missing objects and returns what it read.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from datetime import datetime

from common.errors import ProviderRefused
from common.providers.runtime.cluster.client import Cluster
from common.providers.runtime.cluster.namespaces import Namespaces
from common.providers.runtime.cluster.pod_logs import containers_with_logs, read_log
from common.providers.runtime.cluster.stored_rollout import read_timeout
from common.providers.runtime.cluster_objects import check_reports, names, reasons
from common.providers.runtime.cluster_objects.manifests import Manifests
from common.providers.runtime.cluster_objects.types import (
    OWNER_MANAGER,
    KubeObject,
    is_being_deleted,
    is_owned,
    owned_by,
)
from common.values.delivery.app import ProjectNamespace
from common.values.testing.check import Check, CheckPhase, CheckState
from common.values.testing.collected_reports import MOST_LINES, unpack

LOG_CHARACTERS = 64 * 1024
CHECK_LOG_LINES = 20_000


class ClusterChecks:
    """The methods of the Runtime protocol about checks. has_logs: whether the cluster's nodes are sure to have logs."""

    def __init__(self, cluster: Cluster, manifests: Manifests, namespaces: Namespaces, *, has_logs: bool) -> None:
        self._cluster = cluster
        self._manifests = manifests
        self._namespaces = namespaces
        self._has_logs = has_logs

    @functools.cached_property
    def _reads_reports(self) -> bool:
        return check_reports.is_supported(self._cluster.version())

    def ensure(self, check: Check) -> CheckState:
        found = self.read(check.space, check.check_id)
        if found is not None:
            return found
        self._namespaces.prepare(check.space)
        *secrets, job = self._manifests.check(check, has_reports=self._reads_reports)
        for secret in secrets:
            self._cluster.apply(names.path_of(secret), secret)
        # Created, not applied: a Job is immutable, and an existing Job of this name is this check.
        made = self._cluster.create(names.path("jobs", check.space.namespace), job) or {}
        for secret in secrets if made else ():
            self._cluster.apply(names.path_of(secret), owned_by(made, secret), field_manager=OWNER_MANAGER)
        return CheckState(CheckPhase.RUNNING, None, "")

    def read(self, space: ProjectNamespace, check_id: str) -> CheckState | None:
        if not self._namespaces.is_there(space):
            return None
        name = names.check_name(check_id)
        job = self._cluster.read(names.path("jobs", space.namespace, name))
        if job is None or is_being_deleted(job):
            return None
        settings = job["metadata"].get("annotations", {}).get(names.CHECK_SETTINGS, "")
        return replace(self._state(space, name, job), settings=settings)

    def _state(self, space: ProjectNamespace, name: str, job: KubeObject) -> CheckState:
        found = self._cluster.items(names.path("pods", space.namespace), labels=f"{names.CHECK}={name}")
        # On a node that is gone, a pod of a Job that was deleted may stay for long.
        pods = [pod for pod in found if is_owned(pod, job)]
        timeout = read_timeout(job["metadata"].get("annotations", {}))
        now = self._cluster.now()
        judged = reasons.judge_check(job, pods, timeout_seconds=timeout, now=now)
        if judged.phase is CheckPhase.RUNNING and not pods and (refusal := self._why_no_pod(job)):
            reason = f"the cluster refuses its pod: {refusal.message}"
            return CheckState(CheckPhase.WAITING, None, "", reason, code=refusal.code)
        log = "".join(
            self._log(pod, container, lines=CHECK_LOG_LINES, is_required=judged.phase != CheckPhase.BROKEN)
            for pod in pods
            for container in containers_with_logs(pod)
        )
        judged = replace(judged, log=log[-LOG_CHARACTERS:])
        return self._with_reports(judged, pods, now) if check_reports.has_reports(job) else judged

    def _with_reports(self, judged: CheckState, pods: list[KubeObject], now: datetime) -> CheckState:
        """The state with what the tests reported, once their command has ended; it is running until that is there."""
        pod = check_reports.end_of(pods)
        if pod is None and judged.phase is CheckPhase.PASSED:
            return CheckState(CheckPhase.BROKEN, None, "", "its pod is gone, and with it what its tests reported")
        if pod is None or judged.phase not in {CheckPhase.PASSED, CheckPhase.FAILED}:
            return judged
        if check_reports.are_awaited(pod, now=now):
            return CheckState(CheckPhase.RUNNING, None, judged.log)
        found = unpack(self._log(pod, check_reports.NAME, lines=MOST_LINES))
        return replace(judged, report=found.report, coverage=found.coverage)

    def _why_no_pod(self, job: KubeObject) -> ProviderRefused | None:
        """Return why the cluster refuses the Job's pod, with the code `quota` if it is that; None if it would not.

        A Job's status does not tell the reason, so the pod is created as a dry run, which needs no further rights.
        """
        about, template = job["metadata"], job["spec"]["template"]
        marks = {"name": f"{about['name']}-why", "namespace": about["namespace"]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"] | marks, "spec": template["spec"]}
        try:
            self._cluster.create(names.path("pods", about["namespace"]), pod, is_trial=True)
        except ProviderRefused as error:
            return error
        return None

    def delete(self, space: ProjectNamespace, check_id: str) -> None:
        if not self._namespaces.is_there(space):
            return
        name = names.check_name(check_id)
        self._cluster.delete(names.path("jobs", space.namespace, name))
        self._cluster.delete(names.path("secrets", space.namespace, f"{name}-env"))
        self._cluster.delete(names.path("secrets", space.namespace, names.source_secret(name, check_id)))

    def _log(self, pod: KubeObject, container: str, *, lines: int, is_required: bool = True) -> str:
        return read_log(
            self._cluster, pod, container, lines=lines, timestamps="false", is_required=is_required and self._has_logs
        )
