"""A Kubernetes cluster as a runtime: a namespace per project, a Deployment per app, a Job per check.

Every method reads the cluster, applies missing objects and returns what it read; this process keeps no state. The
verdict on a version is stored as an annotation of its Deployment, with the rollout that it belongs to. (The
generation can't identify the rollout: writing an annotation increases it.)
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import replace
from datetime import datetime, timedelta

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.runtime import check_reports, places, reasons
from common.providers.runtime.ingress_health import IngressRoute, wrong_answer
from common.providers.runtime.kept_verdict import read_timeout, read_verdict, write_verdict
from common.providers.runtime.kube import Cluster, connect
from common.providers.runtime.manifests import Manifests
from common.providers.runtime.objects import OWNER_MANAGER, KubeObject, is_going, is_owned, owned_by, revision
from common.providers.runtime.pod_logs import containers_with_logs, has_restarted
from common.providers.runtime.reasons import Judgement
from common.settings import KubernetesSettings
from common.values.app import App, AppPhase, AppState, Space, Version
from common.values.check import Check, CheckPhase, CheckState
from common.values.collected_reports import MOST_LINES, unpack
from common.values.log_line import LogLine

LOG_CHARACTERS = 64 * 1024
CHECK_LOG_LINES = 20_000
VERDICT_MANAGER = "aiworker-verdict"
READY_SOON = timedelta(seconds=120)
"""How long an app may take to answer through the ingress after its pods are ready."""


class KubernetesRuntime:
    """The Runtime protocol on one cluster."""

    def __init__(self, chosen: KubernetesSettings, *, instance: str, cluster: Cluster | None = None) -> None:
        self._chosen = chosen
        self._instance = instance
        self._manifests = Manifests(chosen, instance)
        self._hosts = places.Hosts(chosen.domain, chosen.is_tls)
        self._cluster = cluster or connect(chosen.kubeconfig)

    def ping(self) -> None:
        self._version()

    def _version(self) -> KubeObject:
        version = self._cluster.read("/version")
        if version is None:
            raise ProviderUnavailable("the Kubernetes API has no /version; check that the address is an API server")
        return version

    @functools.cached_property
    def _reads_reports(self) -> bool:
        return check_reports.is_supported(self._version())

    def ensure_environment(self, space: Space) -> None:
        # Applied even if the namespace exists, so that additions of a newer AiWorker reach old projects.
        self._namespace(space, for_writing=True)
        self._apply(self._manifests.namespace(space))
        for manifest in self._manifests.limits(space):
            self._apply(manifest)
        self._apply(self._manifests.namespace(space, has_limits=True))

    def _prepare(self, space: Space) -> None:
        """Ensure the namespace, and update its limits if this AiWorker would write different ones."""
        found = self._namespace(space, for_writing=True)
        if found is None:
            self.ensure_environment(space)
        elif found["metadata"].get("annotations", {}).get(places.LIMITS) != self._manifests.limits_mark(space):
            # Another field manager, such as an operator, may own a field, such as the quota. This conflict must not
            # keep apps from running.
            with contextlib.suppress(ProviderUnavailable):
                self.ensure_environment(space)

    def delete_environment(self, space: Space) -> None:
        if self._is_there(space):
            self._cluster.delete(places.path("namespaces", space.namespace))

    def ensure_app(self, app: App, version: Version) -> AppState:
        if version.spec.memory_limit is not None:
            places.quantity("memoryLimit", version.spec.memory_limit)
        deployment = self._deployment(app) if self._namespace(app.space, for_writing=True) else None
        if deployment is None or _wanted(deployment) != version.version_id:
            if version.spec.health.contains is not None and self._chosen.health != "http":
                # The kubelet's probe reads no body, and AiWorker does not request the app's page in this mode.
                raise ProviderRefused(
                    "healthContains can't be checked with AIWORKER_KUBE_HEALTH=readiness: clear it, or set http",
                    code="health",
                )
            self._prepare(app.space)
            former = (_wanted(deployment) if deployment else None) or ""
            self._forget_old_secrets(app, keep={version.version_id, former})
            for manifest in self._manifests.app(app, version, self._image(app, version)):
                deployment = self._apply(manifest)
        assert deployment is not None
        return self._state(app, deployment)

    def read_app(self, app: App, version_id: str) -> AppState | None:
        if not self._is_there(app.space):
            return None
        deployment = self._deployment(app)
        if deployment is None:
            return None
        if _wanted(deployment) == version_id:
            return self._state(app, deployment)
        if self._serving(app, beside=_wanted(deployment)) == version_id:
            pods = self._pods(app, version_id)
            return AppState(AppPhase.LIVE, self._url(app, deployment), version_id, restarts=reasons.restarts(pods))
        return None

    def open_app(self, app: App) -> str | None:
        """Return None: apps of a cluster are reached through its ingress, where AiWorker guards nothing."""
        return None

    def delete_app(self, app: App) -> None:
        if not self._is_there(app.space):
            return
        namespace = app.space.namespace
        self._cluster.delete(places.path("ingresses", namespace, app.name))
        self._cluster.delete(places.path("deployments", namespace, app.name))
        self._cluster.delete(places.path("services", namespace, app.name))
        self._cluster.delete(places.path("networkpolicies", namespace, f"app-{app.name}"))
        self._forget_old_secrets(app, keep=set())

    def list_apps(self) -> list[tuple[str, str, str | None]]:
        ours = places.ours(self._instance)
        going = {
            found["metadata"]["name"]
            for found in self._cluster.items(places.path("namespaces"), labels=ours)
            if is_going(found)
        }
        return [
            (found["metadata"]["namespace"], found["metadata"]["name"], _wanted(found))
            for found in self._cluster.items(places.path("deployments"), labels=f"{ours},{places.APP}")
            if found["metadata"]["namespace"] not in going and not is_going(found)
        ]

    def app_logs(self, app: App, version_id: str, *, limit: int = 500) -> list[LogLine]:
        lines: list[str] = []
        for pod in self._pods(app, version_id):
            for container in containers_with_logs(pod):
                text = self._log(pod, container, lines=limit)
                if not text and has_restarted(pod, container):
                    text = self._log(pod, container, lines=limit, previous="true")
                lines += text.splitlines()
        # Every line begins with a timestamp, by which the lines of several pods are merged.
        parts = sorted((line.partition(" ") for line in lines), key=lambda part: part[0])
        return [LogLine(at or None, text) for at, _space, text in parts[-limit:]]

    def ensure_check(self, check: Check) -> CheckState:
        found = self.read_check(check.space, check.check_id)
        if found is not None:
            return found
        self._prepare(check.space)
        *secrets, job = self._manifests.check(check, has_reports=self._reads_reports)
        for secret in secrets:
            self._apply(secret)
        # Created, not applied: a Job is immutable, and an existing Job of this name is this check.
        made = self._cluster.create(places.path("jobs", check.space.namespace), job) or {}
        for secret in secrets if made else ():
            self._cluster.apply(places.path_of(secret), owned_by(made, secret), field_manager=OWNER_MANAGER)
        return CheckState(CheckPhase.RUNNING, None, "")

    def read_check(self, space: Space, check_id: str) -> CheckState | None:
        if not self._is_there(space):
            return None
        name = places.check_name(check_id)
        job = self._cluster.read(places.path("jobs", space.namespace, name))
        if job is None or is_going(job):
            return None
        found = self._cluster.items(places.path("pods", space.namespace), labels=f"{places.CHECK}={name}")
        # On a node that is gone, a pod of a Job that was deleted may stay for long.
        pods = [pod for pod in found if is_owned(pod, job)]
        timeout = read_timeout(job["metadata"].get("annotations", {}))
        now = self._cluster.now()
        judged = reasons.judge_check(job, pods, timeout_seconds=timeout, now=now)
        if judged.phase is CheckPhase.RUNNING and not pods and (refusal := self._why_no_pod(job)):
            reason = f"the cluster refuses its pod: {refusal.message}"
            return CheckState(CheckPhase.WAITING, None, "", reason, code=refusal.code)
        log = "".join(
            self._log(
                pod, container, lines=CHECK_LOG_LINES, timestamps="false", is_required=judged.phase != CheckPhase.BROKEN
            )
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
        found = unpack(self._log(pod, check_reports.NAME, lines=MOST_LINES, timestamps="false"))
        return replace(judged, report=found.report, coverage=found.coverage)

    def _why_no_pod(self, job: KubeObject) -> ProviderRefused | None:
        """Return why the cluster refuses the Job's pod, with the code `quota` if it is that; None if it would not.

        A Job's status does not tell the reason, so the pod is created as a dry run, which needs no further rights.
        """
        about, template = job["metadata"], job["spec"]["template"]
        marks = {"name": f"{about['name']}-why", "namespace": about["namespace"]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"] | marks, "spec": template["spec"]}
        try:
            self._cluster.create(places.path("pods", about["namespace"]), pod, is_trial=True)
        except ProviderRefused as error:
            return error
        return None

    def delete_check(self, space: Space, check_id: str) -> None:
        if not self._is_there(space):
            return
        name = places.check_name(check_id)
        self._cluster.delete(places.path("jobs", space.namespace, name))
        self._cluster.delete(places.path("secrets", space.namespace, f"{name}-env"))
        self._cluster.delete(places.path("secrets", space.namespace, places.source_secret(name, check_id)))

    def _is_there(self, space: Space) -> bool:
        return self._namespace(space) is not None

    def _namespace(self, space: Space, *, for_writing: bool = False) -> KubeObject | None:
        """Return the project's namespace; None if it does not exist or is being deleted.

        Raises ProviderRefused (`foreign`) if the namespace is not this project's, and, with for_writing,
        ProviderUnavailable while it is being deleted.
        """
        found = self._cluster.read(places.path("namespaces", places.name("namespace", space.namespace)))
        if found is None:
            return None
        marks = found["metadata"].get("labels", {})
        wanted = places.labels(self._instance, space)
        if any(marks.get(name) != value for name, value in wanted.items()):
            raise ProviderRefused(
                f"the namespace {space.namespace} exists and does not belong to project {space.project_id}",
                code="foreign",
            )
        if is_going(found):
            if for_writing:
                raise ProviderUnavailable(f"the namespace {space.namespace} is still being deleted")
            return None
        return found

    def _apply(self, manifest: KubeObject) -> KubeObject:
        return self._cluster.apply(places.path_of(manifest), manifest)

    def _deployment(self, app: App) -> KubeObject | None:
        name = places.name("app", app.name)
        found = self._cluster.read(places.path("deployments", app.space.namespace, name))
        if found is None:
            return None
        if found["metadata"].get("labels", {}).get(places.PROJECT) != app.space.project_id:
            raise ProviderRefused(
                f"the deployment {app.space.namespace}/{name} does not belong to AiWorker", code="foreign"
            )
        if is_going(found):
            return None
        return found

    def _pods(self, app: App, version_id: str) -> list[KubeObject]:
        if not self._is_there(app.space):
            return []
        labels = places.selector(**{places.APP: app.name, places.VERSION: places.label("version id", version_id)})
        found = self._cluster.items(places.path("pods", app.space.namespace), labels=labels)
        return [pod for pod in found if not is_going(pod)]

    def _serving(self, app: App, *, beside: str | None) -> str | None:
        """Return the newest version with available pods other than `beside`; None if there is none."""
        found = self._cluster.items(places.path("replicasets", app.space.namespace), labels=f"{places.APP}={app.name}")
        serving = [
            one
            for one in found
            if one.get("status", {}).get("availableReplicas", 0) > 0 and _wanted(one) not in {beside, None}
        ]
        newest = max(serving, key=revision, default=None)
        return None if newest is None else _wanted(newest)

    def _state(self, app: App, deployment: KubeObject) -> AppState:
        wanted = _wanted(deployment)
        assert wanted is not None
        pods = [pod for pod in self._pods(app, wanted) if not reasons.is_removed(pod)]
        judged = self._judge(app, deployment, pods)
        url = self._url(app, deployment)
        about = deployment["metadata"].get("annotations", {})
        restarts = reasons.restarts(pods)
        if judged.phase is AppPhase.LIVE:
            seconds = float(about.get(places.HEALTH_SECONDS, 0))
            return AppState(AppPhase.LIVE, url, wanted, None, None, restarts, seconds, image=reasons.image_digest(pods))
        former = self._serving(app, beside=wanted)
        seconds = reasons.ready_seconds(pods, self._cluster.now()) if pods else 0.0
        return AppState(judged.phase, url, former, judged.reason, judged.code, restarts, seconds)

    def _url(self, app: App, deployment: KubeObject) -> str:
        """Return the address that the app's ingress has: AIWORKER_KUBE_DOMAIN may have changed since the deployment."""
        return str(deployment["metadata"].get("annotations", {}).get(places.URL) or self._hosts.url(app))

    def _judge(self, app: App, deployment: KubeObject, pods: list[KubeObject]) -> Judgement:
        """Return the stored verdict of this rollout; if there is none, judge it now. Final verdicts are stored."""
        kept = read_verdict(deployment["metadata"].get("annotations", {}), _rollout(deployment))
        if kept is not None and kept.phase is AppPhase.FAILED:
            return kept
        if kept is not None:
            return reasons.judge_live(deployment, pods)
        judged = reasons.judge_rollout(deployment, pods)
        if judged.phase is AppPhase.LIVE and self._chosen.health == "http":
            judged = self._judge_answer(app, deployment)
        if judged.phase is AppPhase.LIVE:
            self._record_image(app, deployment, pods)
        if judged.phase is not AppPhase.STARTING:
            manifest = self._manifests.verdict(app, write_verdict(_rollout(deployment), judged))
            self._cluster.apply(places.path_of(manifest), manifest, field_manager=VERDICT_MANAGER)
        return judged

    def _judge_answer(self, app: App, deployment: KubeObject) -> Judgement:
        """Judge whether an app with ready pods also answers through the ingress."""
        about = deployment["metadata"].get("annotations", {})
        url = self._url(app, deployment)
        path = about.get(places.HEALTH_PATH, "/")
        route = IngressRoute(self._chosen.ingress_url or url, url)
        problem = wrong_answer(route, path, about.get(places.HEALTH_CONTAINS))
        if problem is None:
            return Judgement(AppPhase.LIVE)
        progress = [one for one in deployment["status"].get("conditions", []) if one["type"] == "Progressing"]
        since = progress[0].get("lastUpdateTime") if progress else None
        waited = self._cluster.now() - datetime.fromisoformat(since) if since else timedelta()
        if waited < READY_SOON:
            return Judgement(AppPhase.STARTING)
        return Judgement(AppPhase.FAILED, "unhealthy", f"its pods are ready, but at {url}{path} {problem}")

    def _image(self, app: App, version: Version) -> str:
        """Return the image to run: on production the digest that ran on staging with this commit, if it is known."""
        image = version.spec.docker_image or self._chosen.image
        if app.name != places.PRODUCTION or "@sha256:" in image:
            return image
        record = places.path("configmaps", app.space.namespace, places.image_record(version.commit, image))
        found = self._cluster.read(record)
        return image if found is None else str(found["data"]["pinned"])

    def _record_image(self, app: App, deployment: KubeObject, pods: list[KubeObject]) -> None:
        about = deployment["metadata"]["annotations"]
        pinned = reasons.image_digest(pods)
        if app.name == places.STAGING and pinned is not None and "@sha256:" not in about[places.IMAGE]:
            self._apply(self._manifests.image_record(app.space, about[places.COMMIT], about[places.IMAGE], pinned))

    def _forget_old_secrets(self, app: App, *, keep: set[str]) -> None:
        """Delete the app's secrets except those of the versions in `keep` and of the serving version.

        keep empty: delete all.
        """
        namespace = app.space.namespace
        if keep:
            keep = keep | {self._serving(app, beside=None) or ""}
        for secret in self._cluster.items(places.path("secrets", namespace), labels=f"{places.APP}={app.name}"):
            if _wanted(secret) not in keep:
                self._cluster.delete(places.path("secrets", namespace, secret["metadata"]["name"]))

    def _log(
        self,
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
        where = places.path("pods", pod["metadata"]["namespace"], pod["metadata"]["name"]) + "/log"
        query = {"container": container, "tailLines": str(lines), "timestamps": timestamps, "previous": previous}
        try:
            return self._cluster.text(where, **query) or ""
        except ProviderRefused:
            # 400: the container has not started. read_app tells the app's state.
            return ""
        except ProviderUnavailable:
            # With `readiness` the cluster may have simulated nodes, which never have logs.
            if is_required and self._chosen.health == "http":
                raise
            return ""


def _wanted(thing: KubeObject) -> str | None:
    """Return the version id in an object's labels; None if it has none."""
    found = thing["metadata"].get("labels", {}).get(places.VERSION)
    return None if found is None else str(found)


def _rollout(deployment: KubeObject) -> str:
    """Return the rollout's identity, which differs between two rollouts of the same version."""
    return f"{revision(deployment)} {_wanted(deployment)}"
