"""The cluster as a runtime: a namespace per project, a Deployment per app, a Job per check.

Every verb reads what is there, applies what is missing and tells what it saw; nothing is kept in this process. How a
version ended is an annotation of its Deployment, bound to its rollout: whoever looks later, sees it. (Not bound to the
generation: to write an annotation raises that.)
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from datetime import UTC, datetime

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.runtime import places, reasons
from common.providers.runtime.answering import Way, wrong_answer
from common.providers.runtime.kept_verdict import read_timeout, read_verdict, write_verdict
from common.providers.runtime.kube import Cluster, connect
from common.providers.runtime.manifests import Manifests
from common.providers.runtime.objects import KubeObject
from common.providers.runtime.reasons import Judgement
from common.settings import KubernetesSettings
from common.values.app import App, AppPhase, AppState, Space, Version
from common.values.check import Check, CheckPhase, CheckState

LOG_CHARACTERS = 64 * 1024
CHECK_LOG_LINES = 20_000
VERDICT_MANAGER = "aiworker-verdict"
READY_SOON_SECONDS = 120
"""How long, after its pods are ready, an app may take until it answers through the ingress."""


class KubernetesRuntime:
    """The Runtime protocol on one cluster."""

    def __init__(self, chosen: KubernetesSettings, *, instance: str, cluster: Cluster | None = None) -> None:
        self._chosen = chosen
        self._instance = instance
        self._manifests = Manifests(chosen, instance)
        self._hosts = places.Hosts(chosen.domain, chosen.is_tls)
        self._cluster = cluster or connect(chosen.kubeconfig)

    def ping(self) -> None:
        if self._cluster.read("/version") is None:
            raise ProviderUnavailable("the Kubernetes API has no /version: is that address an API server's?")

    def ensure_environment(self, space: Space) -> None:
        # Applied again also where it is there: what a newer AiWorker adds reaches old projects.
        self._namespace(space, for_writing=True)
        self._apply(self._manifests.namespace(space))
        for manifest in self._manifests.limits(space):
            self._apply(manifest)
        self._apply(self._manifests.namespace(space, has_limits=True))

    def _prepare(self, space: Space) -> None:
        """The namespace is there, with the limits that are written today where nobody else keeps them."""
        found = self._namespace(space, for_writing=True)
        if found is None:
            self.ensure_environment(space)
        elif found["metadata"].get("annotations", {}).get(places.LIMITS) != self._manifests.limits_mark(space):
            # Whoever took a field of ours over, such as the quota, keeps it; that must not stop what runs beside it.
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
                # The kubelet's probe reads no body, and nobody else looks at what the app answers.
                raise ProviderRefused(
                    "healthContains can't be looked at with AIWORKER_KUBE_HEALTH=readiness: clear it, or set http",
                    code="health",
                )
            self._prepare(app.space)
            former = (_wanted(deployment) if deployment else None) or ""
            self._forget_old_secrets(app, keep={version.version_id, former})
            manifests = self._manifests.app(app, version, self._image(app, version))
            for manifest in manifests:
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
            return AppState(AppPhase.LIVE, self._hosts.url(app), version_id, restarts=reasons.restarts(pods))
        return None

    def open_app(self, app: App) -> str | None:
        """None: the apps of a cluster are reached through its ingress, which is not AiWorker's to guard."""
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
            if _is_going(found)
        }
        return [
            (found["metadata"]["namespace"], found["metadata"]["name"], _wanted(found))
            for found in self._cluster.items(places.path("deployments"), labels=f"{ours},{places.APP}")
            if found["metadata"]["namespace"] not in going and not _is_going(found)
        ]

    def app_logs(self, app: App, version_id: str, *, limit: int = 500) -> list[str]:
        lines: list[str] = []
        for pod in self._pods(app, version_id):
            for container in _with_logs(pod):
                text = self._log(pod, container, lines=limit)
                if not text and _restarted(pod, container):
                    text = self._log(pod, container, lines=limit, previous="true")
                lines += text.splitlines()
        # Every line begins with its time, so that those of several pods fall into order.
        return [line.partition(" ")[2] for line in sorted(lines, key=lambda line: line.partition(" ")[0])][-limit:]

    def ensure_check(self, check: Check) -> CheckState:
        found = self.read_check(check.space, check.check_id)
        if found is not None:
            return found
        self._prepare(check.space)
        *secrets, job = self._manifests.check(check)
        for secret in secrets:
            self._apply(secret)
        # Created, not applied: a Job can't be changed, and one that is there is this check already.
        self._cluster.create(places.path("jobs", check.space.namespace), job)
        return CheckState(CheckPhase.RUNNING, None, "")

    def read_check(self, space: Space, check_id: str) -> CheckState | None:
        if not self._is_there(space):
            return None
        name = places.check_name(check_id)
        job = self._cluster.read(places.path("jobs", space.namespace, name))
        if job is None or _is_going(job):
            return None
        pods = self._cluster.items(places.path("pods", space.namespace), labels=f"{places.CHECK}={name}")
        timeout = read_timeout(job["metadata"].get("annotations", {}))
        judged = reasons.judge_check(job, pods, timeout_seconds=timeout, now=datetime.now(UTC))
        if judged.phase is CheckPhase.RUNNING and not pods and (reason := self._why_no_pod(job)):
            return CheckState(CheckPhase.WAITING, None, "", reason, code="quota")
        log = "".join(
            self._log(pod, container, lines=CHECK_LOG_LINES, timestamps="false")
            for pod in pods
            for container in _with_logs(pod)
        )
        return replace(judged, log=log[-LOG_CHARACTERS:])

    def _why_no_pod(self, job: KubeObject) -> str | None:
        """What the cluster has against the Job's pod, such as the quota; None if it has nothing (any more).

        A Job says nothing of it in its status. To make the pod without keeping it takes no right that we don't have.
        """
        about, template = job["metadata"], job["spec"]["template"]
        marks = {"name": f"{about['name']}-why", "namespace": about["namespace"]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"] | marks, "spec": template["spec"]}
        try:
            self._cluster.create(places.path("pods", about["namespace"]), pod, is_trial=True)
        except ProviderRefused as error:
            return f"its pod is not let in: {error.message}"
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
        """The project's namespace, unless it is being removed. ProviderRefused if it is another's."""
        found = self._cluster.read(places.path("namespaces", places.name("namespace", space.namespace)))
        if found is None:
            return None
        marks = found["metadata"].get("labels", {})
        wanted = places.labels(self._instance, space)
        if any(marks.get(name) != value for name, value in wanted.items()):
            raise ProviderRefused(
                f"the namespace {space.namespace} is there and is not project {space.project_id}'s", code="foreign"
            )
        if _is_going(found):
            if for_writing:
                raise ProviderUnavailable(f"the namespace {space.namespace} is still being removed")
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
            raise ProviderRefused(f"the deployment {app.space.namespace}/{name} is not AiWorker's", code="foreign")
        if _is_going(found):
            return None
        return found

    def _pods(self, app: App, version_id: str) -> list[KubeObject]:
        if not self._is_there(app.space):
            return []
        labels = places.selector(**{places.APP: app.name, places.VERSION: places.label("version id", version_id)})
        found = self._cluster.items(places.path("pods", app.space.namespace), labels=labels)
        return [pod for pod in found if not _is_going(pod)]

    def _serving(self, app: App, *, beside: str | None) -> str | None:
        """The version, other than this one, that has pods in service; the newest of several."""
        found = self._cluster.items(places.path("replicasets", app.space.namespace), labels=f"{places.APP}={app.name}")
        serving = [
            one
            for one in found
            if one.get("status", {}).get("availableReplicas", 0) > 0 and _wanted(one) not in {beside, None}
        ]
        newest = max(serving, key=_revision, default=None)
        return None if newest is None else _wanted(newest)

    def _state(self, app: App, deployment: KubeObject) -> AppState:
        wanted = _wanted(deployment)
        assert wanted is not None
        pods = self._pods(app, wanted)
        judged = self._judge(app, deployment, pods)
        url = self._hosts.url(app)
        about = deployment["metadata"].get("annotations", {})
        restarts = reasons.restarts(pods)
        if judged.phase is AppPhase.LIVE:
            seconds = float(about.get(places.HEALTH_SECONDS, 0))
            return AppState(AppPhase.LIVE, url, wanted, restarts=restarts, checked_seconds=seconds)
        former = self._serving(app, beside=wanted)
        seconds = reasons.ready_seconds(pods, datetime.now(UTC)) if pods else 0.0
        return AppState(judged.phase, url, former, judged.reason, judged.code, restarts, seconds)

    def _judge(self, app: App, deployment: KubeObject, pods: list[KubeObject]) -> Judgement:
        """The verdict that was kept for this rollout, else what is seen now; an end is kept."""
        kept = read_verdict(deployment["metadata"].get("annotations", {}), _rollout(deployment))
        if kept is not None and kept.phase is AppPhase.FAILED:
            return kept
        if kept is not None:
            return self._judge_live(deployment, pods)
        judged = reasons.judge_rollout(deployment, pods)
        if judged.phase is AppPhase.LIVE and self._chosen.health == "http":
            judged = self._judge_answer(app, deployment)
        if judged.phase is AppPhase.LIVE:
            self._record_image(app, deployment, pods)
        if judged.phase is not AppPhase.STARTING:
            manifest = self._manifests.verdict(app, write_verdict(_rollout(deployment), judged))
            self._cluster.apply(places.path_of(manifest), manifest, field_manager=VERDICT_MANAGER)
        return judged

    def _judge_live(self, deployment: KubeObject, pods: list[KubeObject]) -> Judgement:
        if deployment.get("status", {}).get("availableReplicas", 0) > 0:
            return Judgement(AppPhase.LIVE)
        for pod in pods:
            if problem := reasons.pod_problem(pod):
                return Judgement(AppPhase.FAILED, "keeps_dying", f"it was live and keeps dying: {problem[1]}")
        return Judgement(AppPhase.STARTING)

    def _judge_answer(self, app: App, deployment: KubeObject) -> Judgement:
        """Whether the app, whose pods are ready, answers through the ingress too."""
        about = deployment["metadata"].get("annotations", {})
        url = self._hosts.url(app)
        path = about.get(places.HEALTH_PATH, "/")
        way = Way(self._chosen.ingress_url or url, url)
        said = wrong_answer(way, path, about.get(places.HEALTH_CONTAINS))
        if said is None:
            return Judgement(AppPhase.LIVE)
        progress = [one for one in deployment["status"].get("conditions", []) if one["type"] == "Progressing"]
        since = progress[0].get("lastUpdateTime") if progress else None
        waited = time.time() - datetime.fromisoformat(since).timestamp() if since else 0.0
        if waited < READY_SOON_SECONDS:
            return Judgement(AppPhase.STARTING)
        return Judgement(AppPhase.FAILED, "unhealthy", f"its pods are ready, but at {url}{path} {said}")

    def _image(self, app: App, version: Version) -> str:
        """The image to run: on production exactly the one that ran on staging with this commit, where it is known."""
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
        """Remove the app's secrets of versions that neither serve nor are wanted."""
        namespace = app.space.namespace
        if keep:
            keep = keep | {self._serving(app, beside=None) or ""}
        for secret in self._cluster.items(places.path("secrets", namespace), labels=f"{places.APP}={app.name}"):
            if _wanted(secret) not in keep:
                self._cluster.delete(places.path("secrets", namespace, secret["metadata"]["name"]))

    def _log(
        self, pod: KubeObject, container: str, *, lines: int, timestamps: str = "true", previous: str = "false"
    ) -> str:
        """The end of what a container wrote; empty where the node has none (any more)."""
        where = places.path("pods", pod["metadata"]["namespace"], pod["metadata"]["name"]) + "/log"
        query = {"container": container, "tailLines": str(lines), "timestamps": timestamps, "previous": previous}
        try:
            return self._cluster.text(where, **query) or ""
        except ProviderRefused:
            # 400: the container has not begun. Whoever wants logs is told how it does by read_app.
            return ""
        except ProviderUnavailable:
            # Simulated nodes have no logs, ever; whoever has no pod network has said so.
            if self._chosen.health == "http":
                raise
            return ""


def _wanted(thing: KubeObject) -> str | None:
    """The version that an object stands for."""
    found = thing["metadata"].get("labels", {}).get(places.VERSION)
    return None if found is None else str(found)


def _is_going(thing: KubeObject) -> bool:
    return "deletionTimestamp" in thing["metadata"]


def _revision(thing: KubeObject) -> int:
    """Of a Deployment, or of a ReplicaSet: the controller counts rollouts."""
    return int(thing["metadata"].get("annotations", {}).get("deployment.kubernetes.io/revision", 0))


def _rollout(deployment: KubeObject) -> str:
    """What tells this rollout of this version from an earlier and from a later one of the same version."""
    return f"{_revision(deployment)} {_wanted(deployment)}"


def _with_logs(pod: KubeObject) -> list[str]:
    """The containers that may have written: the checkout only where it failed, else the program."""
    status = pod.get("status", {})
    for container in status.get("initContainerStatuses", []):
        ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
        if ended and ended.get("exitCode"):
            return [container["name"]]
    return [container["name"] for container in status.get("containerStatuses", []) if _has_begun(container)]


def _has_begun(container: KubeObject) -> bool:
    return bool({"running", "terminated"} & set(container.get("state", {}))) or bool(container.get("restartCount"))


def _restarted(pod: KubeObject, name: str) -> bool:
    containers = pod.get("status", {}).get("containerStatuses", [])
    return any(one["name"] == name and one.get("restartCount", 0) > 0 for one in containers)
