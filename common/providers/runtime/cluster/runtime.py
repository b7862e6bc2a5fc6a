"""A Kubernetes cluster as a runtime: a namespace per project, a Deployment per app, a Job per check.

Every method reads the cluster, applies missing objects and returns what it read; this process keeps no state, except
when MissingObjects looked last. The verdict on a version is stored as an annotation of its Deployment, with the rollout
that it belongs to. (The generation can't identify the rollout: writing an annotation increases it.)
"""

from __future__ import annotations

from datetime import datetime, timedelta

from common.errors import ProviderRefused
from common.providers.runtime.cluster.checks import ClusterChecks
from common.providers.runtime.cluster.client import Cluster, connect
from common.providers.runtime.cluster.ingress_health import IngressRoute, wrong_answer
from common.providers.runtime.cluster.missing_objects import MissingObjects
from common.providers.runtime.cluster.namespaces import Namespaces
from common.providers.runtime.cluster.pod_logs import containers_with_logs, has_restarted, read_log
from common.providers.runtime.cluster.stored_rollout import read_verdict, write_verdict
from common.providers.runtime.cluster_objects import names, pod_statuses, reasons
from common.providers.runtime.cluster_objects.manifests import Manifests
from common.providers.runtime.cluster_objects.reasons import Judgement
from common.providers.runtime.cluster_objects.types import KubeObject, is_being_deleted, revision
from common.settings import KubernetesSettings
from common.values.delivery.app import App, AppPhase, AppState, ProjectNamespace, Version
from common.values.log_line import LogLine
from common.values.testing.check import Check, CheckState

VERDICT_MANAGER = "aiworker-verdict"
READY_SOON = timedelta(seconds=120)
"""How long an app may take to answer through the ingress after its pods are ready."""


class KubernetesRuntime:
    """The Runtime protocol on one cluster."""

    def __init__(self, chosen: KubernetesSettings, *, instance: str, cluster: Cluster | None = None) -> None:
        self._chosen = chosen
        self._instance = instance
        self._manifests = Manifests(chosen, instance)
        self._hosts = names.Hosts(chosen.domain, chosen.is_tls)
        self._cluster = cluster or connect(chosen.kubeconfig)
        self._missing = MissingObjects(self._cluster)
        self._namespaces = Namespaces(self._cluster, self._manifests, self._missing, instance=instance)
        # With `readiness` the cluster may have simulated nodes, which never have logs.
        self._has_logs = chosen.health == "http"
        self._checks = ClusterChecks(self._cluster, self._manifests, self._namespaces, has_logs=self._has_logs)

    def ping(self) -> None:
        self._cluster.version()

    def ensure_environment(self, space: ProjectNamespace) -> None:
        self._namespaces.ensure(space)

    def delete_environment(self, space: ProjectNamespace) -> None:
        self._namespaces.delete(space)

    def ensure_app(self, app: App, version: Version) -> AppState:
        if version.spec.memory_limit is not None:
            names.quantity("memoryLimit", version.spec.memory_limit)
        deployment = self._deployment(app) if self._namespaces.read(app.space, for_writing=True) else None
        if deployment is None or _wanted(deployment) != version.version_id:
            if version.spec.health.contains is not None and self._chosen.health != "http":
                # The kubelet's probe reads no body, and AiWorker does not request the app's page in this mode.
                raise ProviderRefused(
                    "healthContains can't be checked with AIWORKER_KUBE_HEALTH=readiness: clear it, or set http",
                    code="health",
                )
            self._namespaces.prepare(app.space)
            former = (_wanted(deployment) if deployment else None) or ""
            self._forget_old_secrets(app, keep={version.version_id, former})
            for manifest in self._manifests.app(app, version, self._image(app, version)):
                deployment = self._apply(manifest)
        assert deployment is not None
        state = self._state(app, deployment)
        if state.may_lack_secrets:
            for manifest in self._manifests.secrets(app, version):
                self._apply(manifest)
        return state

    def read_app(self, app: App, version_id: str) -> AppState | None:
        if not self._namespaces.is_there(app.space):
            return None
        deployment = self._deployment(app)
        if deployment is None:
            return None
        if _wanted(deployment) == version_id:
            self._namespaces.put_back_limits(app.space)
            if self._put_back_entrances(app, deployment) and self._deployment(app) is None:
                # The app was deleted meanwhile, so what was missing was deleted with it.
                self.delete_app(app)
                return None
            return self._state(app, deployment)
        if self._serving(app, beside=_wanted(deployment)) == version_id:
            pods = self._pods(app, version_id)
            return AppState(AppPhase.LIVE, self._url(app, deployment), version_id, restarts=pod_statuses.restarts(pods))
        return None

    def open_app(self, app: App) -> str | None:
        """Return None: apps of a cluster are reached through its ingress, where AiWorker guards nothing."""
        return None

    def delete_app(self, app: App) -> None:
        if not self._namespaces.is_there(app.space):
            return
        namespace = app.space.namespace
        self._cluster.delete(names.path("ingresses", namespace, app.name))
        self._cluster.delete(names.path("deployments", namespace, app.name))
        self._cluster.delete(names.path("services", namespace, app.name))
        self._cluster.delete(names.path("networkpolicies", namespace, f"app-{app.name}"))
        self._forget_old_secrets(app, keep=set())

    def list_apps(self) -> list[tuple[str, str, str | None]]:
        instance_selector = names.instance_selector(self._instance)
        going = {
            found["metadata"]["name"]
            for found in self._cluster.items(names.path("namespaces"), labels=instance_selector)
            if is_being_deleted(found)
        }
        return [
            (found["metadata"]["namespace"], found["metadata"]["name"], _wanted(found))
            for found in self._cluster.items(names.path("deployments"), labels=f"{instance_selector},{names.APP}")
            if found["metadata"]["namespace"] not in going and not is_being_deleted(found)
        ]

    def app_logs(self, app: App, version_id: str, *, limit: int = 500) -> list[LogLine]:
        lines: list[str] = []
        for pod in self._pods(app, version_id):
            for container in containers_with_logs(pod):
                text = read_log(self._cluster, pod, container, lines=limit, is_required=self._has_logs)
                if not text and has_restarted(pod, container):
                    text = read_log(
                        self._cluster, pod, container, lines=limit, previous="true", is_required=self._has_logs
                    )
                lines += text.splitlines()
        # Every line begins with a timestamp, by which the lines of several pods are merged.
        parts = sorted((line.partition(" ") for line in lines), key=lambda part: part[0])
        return [LogLine(at or None, text) for at, _space, text in parts[-limit:]]

    def ensure_check(self, check: Check) -> CheckState:
        return self._checks.ensure(check)

    def read_check(self, space: ProjectNamespace, check_id: str) -> CheckState | None:
        return self._checks.read(space, check_id)

    def delete_check(self, space: ProjectNamespace, check_id: str) -> None:
        self._checks.delete(space, check_id)

    def _apply(self, manifest: KubeObject) -> KubeObject:
        return self._cluster.apply(names.path_of(manifest), manifest)

    def _deployment(self, app: App) -> KubeObject | None:
        name = names.name("app", app.name)
        found = self._cluster.read(names.path("deployments", app.space.namespace, name))
        if found is None:
            return None
        if found["metadata"].get("labels", {}).get(names.PROJECT) != app.space.project_id:
            raise ProviderRefused(
                f"the deployment {app.space.namespace}/{name} does not belong to AiWorker", code="foreign"
            )
        if is_being_deleted(found):
            return None
        return found

    def _put_back_entrances(self, app: App, deployment: KubeObject) -> bool:
        """Put back what leads to the app, for the address that it has, and return whether something was missing."""
        url = self._url(app, deployment)
        return self._missing.put_back(f"{app.space.namespace}/{app.name}", lambda: self._manifests.entrances(app, url))

    def _pods(self, app: App, version_id: str) -> list[KubeObject]:
        if not self._namespaces.is_there(app.space):
            return []
        labels = names.selector(**{names.APP: app.name, names.VERSION: names.label("version id", version_id)})
        found = self._cluster.items(names.path("pods", app.space.namespace), labels=labels)
        return [pod for pod in found if not is_being_deleted(pod)]

    def _serving(self, app: App, *, beside: str | None) -> str | None:
        """Return the newest version with available pods other than `beside`; None if there is none."""
        found = self._cluster.items(names.path("replicasets", app.space.namespace), labels=f"{names.APP}={app.name}")
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
        pods = [pod for pod in self._pods(app, wanted) if not pod_statuses.is_removed(pod)]
        judged = self._judge(app, deployment, pods)
        url = self._url(app, deployment)
        about = deployment["metadata"].get("annotations", {})
        restarts = pod_statuses.restarts(pods)
        if judged.phase is AppPhase.LIVE:
            seconds = float(about.get(names.HEALTH_SECONDS, 0))
            return AppState(
                AppPhase.LIVE, url, wanted, None, judged.code, restarts, seconds, image=pod_statuses.image_digest(pods)
            )
        former = self._serving(app, beside=wanted)
        seconds = pod_statuses.ready_seconds(pods, self._cluster.now()) if pods else 0.0
        kept = read_verdict(about, _rollout(deployment))
        was_live = kept is not None and kept.phase is AppPhase.LIVE
        return AppState(judged.phase, url, former, judged.reason, judged.code, restarts, seconds, was_live=was_live)

    def _url(self, app: App, deployment: KubeObject) -> str:
        """Return the address that the app's ingress has: AIWORKER_KUBE_DOMAIN may have changed since the deployment."""
        return str(deployment["metadata"].get("annotations", {}).get(names.URL) or self._hosts.url(app))

    def _judge(self, app: App, deployment: KubeObject, pods: list[KubeObject]) -> Judgement:
        """Return the stored verdict of this rollout; if there is none, judge it now. Final verdicts are stored.

        A failure is not final for a version that served before and was put back: it is live once it is well.
        """
        about = deployment["metadata"].get("annotations", {})
        kept = read_verdict(about, _rollout(deployment))
        if kept is not None and kept.phase is AppPhase.LIVE:
            return reasons.judge_live(deployment, pods)
        if kept is not None and names.WAS_HEALTHY not in about:
            return kept
        judged = reasons.judge_rollout(deployment, pods)
        if judged.phase is AppPhase.LIVE and self._chosen.health == "http":
            judged = self._judge_answer(app, deployment)
        if kept is not None and judged.phase is not AppPhase.LIVE:
            return kept
        if judged.phase is AppPhase.LIVE:
            self._record_image(app, deployment, pods)
        if judged.phase is not AppPhase.STARTING:
            manifest = self._manifests.verdict(app, write_verdict(_rollout(deployment), judged))
            self._cluster.apply(names.path_of(manifest), manifest, field_manager=VERDICT_MANAGER)
        return judged

    def _judge_answer(self, app: App, deployment: KubeObject) -> Judgement:
        """Judge whether an app with ready pods also answers through the ingress."""
        about = deployment["metadata"].get("annotations", {})
        url = self._url(app, deployment)
        path = about.get(names.HEALTH_PATH, "/")
        route = IngressRoute(self._chosen.ingress_url or url, url)
        problem = wrong_answer(route, path, about.get(names.HEALTH_CONTAINS))
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
        if app.name != names.PRODUCTION or "@sha256:" in image:
            return image
        record = names.path("configmaps", app.space.namespace, names.image_record(version.commit, image))
        found = self._cluster.read(record)
        return image if found is None else str(found["data"]["pinned"])

    def _record_image(self, app: App, deployment: KubeObject, pods: list[KubeObject]) -> None:
        about = deployment["metadata"]["annotations"]
        pinned = pod_statuses.image_digest(pods)
        if app.name == names.STAGING and pinned is not None and "@sha256:" not in about[names.IMAGE]:
            self._apply(self._manifests.image_record(app.space, about[names.COMMIT], about[names.IMAGE], pinned))

    def _forget_old_secrets(self, app: App, *, keep: set[str]) -> None:
        """Delete the app's secrets except those of the versions in `keep` and of the serving version.

        keep empty: delete all.
        """
        namespace = app.space.namespace
        if keep:
            keep = keep | {self._serving(app, beside=None) or ""}
        for secret in self._cluster.items(names.path("secrets", namespace), labels=f"{names.APP}={app.name}"):
            if _wanted(secret) not in keep:
                self._cluster.delete(names.path("secrets", namespace, secret["metadata"]["name"]))


def _wanted(thing: KubeObject) -> str | None:
    """Return the version id in an object's labels; None if it has none."""
    found = thing["metadata"].get("labels", {}).get(names.VERSION)
    return None if found is None else str(found)


def _rollout(deployment: KubeObject) -> str:
    """Return the rollout's identity, which differs between two rollouts of the same version."""
    return f"{revision(deployment)} {_wanted(deployment)}"
