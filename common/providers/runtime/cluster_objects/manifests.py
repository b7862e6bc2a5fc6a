"""Kubernetes manifests for the types of the Runtime protocol. They return dicts and call nothing, but that
network policies resolve the hosts of the forge and of AIWORKER_EGRESS_PROXY.

No container runs as root, gets a service account token, or can write to its root file system. A pod template depends
only on its version, so ensuring an older version again reuses that version's ReplicaSet.
"""

from __future__ import annotations

import base64
import json
import math
from typing import Any
from urllib.parse import urlsplit

from common.errors import ProviderRefused
from common.providers.runtime.cluster_objects import (
    check_reports,
    hardening,
    names,
    preparation,
)
from common.providers.runtime.cluster_objects.egress_policies import labels_of, policies, variables_of
from common.providers.runtime.cluster_objects.node_selection import placement
from common.providers.runtime.cluster_objects.outside_hosts import CachedOutsideRules
from common.providers.runtime.cluster_objects.types import KubeObject, literal
from common.settings import MOST_PREVIEWS, KubernetesSettings
from common.settings.kubernetes import TMP_SIZE, total
from common.values.delivery.app import App, ProjectNamespace, Version
from common.values.json_codec import encode
from common.values.needs import Needs
from common.values.testing.check import Check

DEFAULT_PORT = 8080
CHECKOUT_SECONDS = 180
"""Time for fetching images and code, in addition to the version's own start time."""
START_CHECK_SECONDS = 900
"""The same for a check, counted from when its pod is scheduled. Longer, because images may be large and exceeding it is
no verdict on the commit."""
WAIT_FOR_CHECK_SECONDS = 26 * 3600
"""When Kubernetes ends a check whose pod never found a node: later than AiWorker itself stops waiting for it."""
KEEP_CHECK_SECONDS = 3600


class Manifests:
    """Builds manifests with the settings of one instance."""

    def __init__(self, chosen: KubernetesSettings, instance: str) -> None:
        self._chosen = chosen
        self._instance = instance
        self._outside = CachedOutsideRules(chosen.forge_url, chosen.egress_proxy)
        self._hosts = names.Hosts(chosen.domain, chosen.is_tls)

    def namespace(self, space: ProjectNamespace, *, has_limits: bool = False) -> KubeObject:
        """Return the namespace's manifest. has_limits: also record that the present limits() are applied."""
        about: KubeObject = {
            "name": names.name("namespace", space.namespace),
            "labels": names.labels(self._instance, space) | hardening.RESTRICTED,
        }
        if has_limits:
            about["annotations"] = {names.LIMITS: self.limits_mark(space)}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": about}

    def limits_mark(self, space: ProjectNamespace) -> str:
        return names.digest(json.dumps(self.limits(space), sort_keys=True))

    def limits(self, space: ProjectNamespace) -> list[KubeObject]:
        """Return a namespace's own objects: quota, default limits, network policy, an account without a token.

        The quota is the sum of the project's quota and that of its previews. Kubernetes could separate the two only by
        priority classes, which need cluster-wide rights; so AiWorker itself keeps previews within their part when it
        starts them.
        """
        chosen = self._chosen
        hard = {
            # A preview that is being replaced has two pods.
            "pods": str(chosen.quota_pods + 2 * MOST_PREVIEWS),
            "limits.cpu": total(chosen.quota_cpu, chosen.previews_cpu),
            "limits.memory": total(chosen.quota_memory, chosen.previews_memory),
            "services.loadbalancers": "0",
            "services.nodeports": "0",
        }
        usual = {
            "type": "Container",
            "default": {"cpu": chosen.cpu, "memory": chosen.memory, "ephemeral-storage": chosen.code_size},
            "defaultRequest": {"cpu": "10m", "memory": "64Mi", "ephemeral-storage": "64Mi"},
        }
        account = self._object("v1", "ServiceAccount", space, "default")
        account["automountServiceAccountToken"] = False
        return [
            self._object("v1", "ResourceQuota", space, "aiworker", spec={"hard": hard}),
            self._object("v1", "LimitRange", space, "aiworker", spec={"limits": [usual]}),
            # These let nothing in; the NetworkPolicy of each app allows ingress on the app's port.
            *(
                self._object("networking.k8s.io/v1", "NetworkPolicy", space, name, spec=spec)
                for name, spec in policies(
                    chosen.egress, self._outside.rules(), has_proxy=chosen.egress_proxy is not None
                ).items()
            ),
            account,
        ]

    def app(self, app: App, version: Version, image: str) -> list[KubeObject]:
        """Return all objects of an app in the order in which to apply them. The Deployment is last: if it exists, all
        others do. image: the image to run, by digest if that is known.
        """
        return [
            *self.secrets(app, version),
            *self.entrances(app, self._hosts.url(app)),
            self._deployment(app, version, image, _port_of(version), _marked(app, version)),
        ]

    def secrets(self, app: App, version: Version) -> list[KubeObject]:
        """Return the version's Secrets: the variables of its program, and the credential of its checkout."""
        marked = _marked(app, version)
        variables = preparation.with_services(version.spec.variables, version.spec.needs, version.version_id)
        proxy = variables_of(version.spec.network, self._chosen.egress_proxy, version.source.clone_url)
        address = {"PORT": str(_port_of(version)), "HOST": "0.0.0.0"}  # noqa: S104 (inside its own pod)
        env = proxy | dict(variables.values) | address
        return [
            self._secret(app.space, names.env_secret(app, version.version_id), marked, env),
            self._source(app.space, names.source_secret(app.name, version.version_id), marked, version),
        ]

    def entrances(self, app: App, url: str) -> list[KubeObject]:
        """Return what leads to the app, whatever its version: NetworkPolicy, Service, and Ingress for this address."""
        named = _named(app)
        incoming = {
            "podSelector": {"matchLabels": named},
            "policyTypes": ["Ingress"],
            # By its name: while versions change, the live pods may listen on another port than the new ones.
            "ingress": [{"ports": [{"protocol": "TCP", "port": "http"}]}],
        }
        service = {
            "selector": named,
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
        }
        return [
            self._object("networking.k8s.io/v1", "NetworkPolicy", app.space, f"app-{app.name}", named, spec=incoming),
            self._object("v1", "Service", app.space, app.name, named, spec=service),
            self._object("networking.k8s.io/v1", "Ingress", app.space, app.name, named, spec=self._ingress(app, url)),
        ]

    def _ingress(self, app: App, url: str) -> KubeObject:
        address = urlsplit(url)
        backend = {"service": {"name": app.name, "port": {"name": "http"}}}
        paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
        spec: KubeObject = {"rules": [{"host": address.hostname, "http": {"paths": paths}}]}
        if self._chosen.ingress_class:
            spec["ingressClassName"] = self._chosen.ingress_class
        if address.scheme == "https":
            # Without a secretName, the ingress controller uses its default (wildcard) certificate.
            spec["tls"] = [{"hosts": [address.hostname]}]
        return spec

    def _deployment(self, app: App, version: Version, image: str, port: int, marked: dict[str, str]) -> KubeObject:
        wanted, health = version.spec, math.ceil(version.spec.health.seconds)
        secret = names.env_secret(app, version.version_id)
        seconds = math.ceil(version.start_seconds) + health + CHECKOUT_SECONDS
        is_preview = names.is_preview(app)
        serving = {
            **self._container(
                "app", image, ["sh", "/workspace/run"], secret, wanted.memory_limit, app.space, is_preview=is_preview
            ),
            "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}],
            "readinessProbe": {
                "httpGet": {"path": wanted.health.path, "port": "http"},
                "timeoutSeconds": 5,
                "periodSeconds": 2,
                "failureThreshold": 1,
            },
        }
        source = names.source_secret(app.name, version.version_id)
        pod = self._pod(
            serving, self._checkout(version.commit, wanted.start_command), source, wanted.needs, version.version_id
        )
        spec = {
            "replicas": 1 if is_preview else wanted.replicas,
            "minReadySeconds": health,
            "progressDeadlineSeconds": seconds + preparation.setup_seconds(wanted.needs),
            "revisionHistoryLimit": 3,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": {names.APP: app.name}},
            "template": {
                "metadata": {"labels": names.labels(self._instance, app.space) | marked | labels_of(wanted.network)},
                "spec": pod | {"restartPolicy": "Always"},
            },
        }
        made = self._object("apps/v1", "Deployment", app.space, app.name, marked, spec=spec)
        made["metadata"]["annotations"] = {
            names.COMMIT: version.commit,
            names.HEALTH_SECONDS: str(health),
            names.HEALTH_PATH: wanted.health.path,
            names.IMAGE: wanted.docker_image or self._chosen.image,
            names.URL: self._hosts.url(app),
        }
        if version.was_healthy:
            made["metadata"]["annotations"][names.WAS_HEALTHY] = "true"
        if wanted.health.contains is not None:
            made["metadata"]["annotations"][names.HEALTH_CONTAINS] = wanted.health.contains
        return made

    def check(self, check: Check, *, has_reports: bool) -> list[KubeObject]:
        """Return the secrets and the Job of a check, the Job last. has_reports: what its tests report is read."""
        name = names.check_name(check.check_id)
        marked = {names.CHECK: name}
        seconds = math.ceil(check.timeout_seconds) + preparation.setup_seconds(check.needs)
        secret = f"{name}-env"
        source = names.source_secret(name, check.check_id)
        command = ["sh", "-c", literal(check.command)]
        running = self._container(
            "check", check.docker_image or self._chosen.image, command, secret, check.memory_limit, check.space
        )
        pod = self._pod(running, self._checkout(check.commit, "true"), source, check.needs, check.check_id)
        if has_reports:
            pod = check_reports.with_reports(pod, check, self._chosen.image)
        spec = {
            # The Job's deadline counts from its creation, so it can't limit the command. The job that polls the check
            # ends it in time; the pod's deadline, which counts from scheduling, is the fallback.
            "activeDeadlineSeconds": WAIT_FOR_CHECK_SECONDS,
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": KEEP_CHECK_SECONDS,
            "template": {
                "metadata": {"labels": names.labels(self._instance, check.space) | marked | labels_of(check.network)},
                "spec": pod | {"restartPolicy": "Never", "activeDeadlineSeconds": seconds + START_CHECK_SECONDS},
            },
        }
        variables = preparation.with_services(check.variables, check.needs, check.check_id)
        proxy = variables_of(check.network, self._chosen.egress_proxy, check.source.clone_url)
        job = self._object("batch/v1", "Job", check.space, name, marked, spec=spec)
        job["metadata"]["annotations"] = {
            names.TIMEOUT_SECONDS: f"{check.timeout_seconds:g}",
            names.CHECK_SETTINGS: check.settings,
        }
        return [
            self._secret(check.space, secret, marked, proxy | dict(variables.values)),
            self._source(check.space, source, marked, check),
            job,
        ]

    def image_record(self, space: ProjectNamespace, commit: str, image: str, pinned: str) -> KubeObject:
        """Return the ConfigMap that records the image's digest (pinned) when this commit was live on staging."""
        made = self._object("v1", "ConfigMap", space, names.image_record(commit, image))
        made["data"] = {"commit": commit, "image": image, "pinned": pinned}
        return made

    def verdict(self, app: App, verdict: str) -> KubeObject:
        """Return a Deployment with only the verdict's annotation. Applied by a field manager of its own, so that other
        applies keep it."""
        about = {"name": app.name, "namespace": app.space.namespace, "annotations": {names.VERDICT: verdict}}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": about}

    def _pod(
        self, container: KubeObject, checkout: KubeObject, source_secret: str, needs: Needs, seed: str
    ) -> KubeObject:
        return placement(self._chosen) | {
            **hardening.pod(self._chosen.run_as_user),
            "initContainers": [checkout, *preparation.sidecars(needs, seed), *preparation.setup(needs, container)],
            "containers": [container],
            "volumes": [
                {"name": "workspace", "emptyDir": {"sizeLimit": self._chosen.code_size}},
                {"name": "tmp", "emptyDir": {"sizeLimit": TMP_SIZE}},
                {"name": "source", "secret": {"secretName": source_secret, "defaultMode": 0o440}},
                *preparation.volumes(needs),
            ],
        }

    def _checkout(self, commit: str, start_command: str | None) -> KubeObject:
        command = ["python", "-P", "-m", "workers.checkouts.pod_start", "--commit", commit, "--source", "/source"]
        command += ["--workspace", "/workspace"]
        if start_command is not None:
            command += ["--start-command", literal(start_command)]
        return {
            "name": "checkout",
            "image": self._chosen.image,
            "command": command,
            "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108 (a volume of the pod's own)
            "resources": hardening.resources("500m", "256Mi", self._chosen.code_size),
            "securityContext": hardening.container(),
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [*_MOUNTS, {"name": "source", "mountPath": "/source", "readOnly": True}],
        }

    def _container(
        self, name: str, image: str, command: list[str], env_secret: str, memory: str | None, space: ProjectNamespace,
        *, is_preview: bool = False,
    ) -> KubeObject:  # fmt: skip
        if not image or any(character.isspace() for character in image):
            raise ProviderRefused(f"dockerImage {image[:80]!r} is not an image name", code="invalid")
        cpu = names.quantity("cpuLimit", space.cpu_limit or self._chosen.cpu)
        if is_preview:
            cpu = self._chosen.cpu_of_preview(cpu)
        memory = names.quantity("memoryLimit", memory or space.memory_limit or self._chosen.memory)
        return {
            "name": name,
            "image": image,
            "command": command,
            "workingDir": "/workspace/code",
            "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108 (a volume of the pod's own)
            "envFrom": [{"secretRef": {"name": env_secret}}],
            "resources": hardening.resources(cpu, memory, self._chosen.code_size, is_preview=is_preview),
            "securityContext": hardening.container(),
            "volumeMounts": _MOUNTS,
        }

    def _source(self, space: ProjectNamespace, name: str, marked: dict[str, str], of: Version | Check) -> KubeObject:
        url = of.source.clone_url
        if not url.startswith(("http://", "https://")):
            raise ProviderRefused(
                "a pod can't clone from a path on another machine; use AIWORKER_FORGE=gitea with this runtime",
                code="no_source",
            )
        values = {"url": url, "username": of.source.username or "", "password": of.source.password or ""}
        if isinstance(of, Check) and of.overlay is not None:
            values["overlay"] = json.dumps(encode(of.overlay))
        return self._secret(space, name, marked, values)

    def _secret(self, space: ProjectNamespace, name: str, marked: dict[str, str], values: dict[str, str]) -> KubeObject:
        made = self._object("v1", "Secret", space, name, marked)
        # Not stringData: server-side apply would not track which keys are ours.
        made["data"] = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        return made | {"type": "Opaque"}

    def _object(
        self,
        version: str,
        kind: str,
        space: ProjectNamespace,
        name: str,
        marked: dict[str, str] | None = None,
        **rest: Any,
    ) -> KubeObject:
        about = {
            "name": name,
            "namespace": names.name("namespace", space.namespace),
            "labels": names.labels(self._instance, space) | (marked or {}),
        }
        return {"apiVersion": version, "kind": kind, "metadata": about, **rest}


def _named(app: App) -> dict[str, str]:
    return {names.APP: names.name("app", app.name)}


def _marked(app: App, version: Version) -> dict[str, str]:
    return _named(app) | {names.VERSION: names.label("version id", version.version_id)}


def _port_of(version: Version) -> int:
    return version.spec.port or DEFAULT_PORT


_MOUNTS: list[KubeObject] = [{"name": "workspace", "mountPath": "/workspace"}, {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
