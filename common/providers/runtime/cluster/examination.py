"""Check whether a cluster has and allows everything that AiWorker needs. Read-only: reads and access reviews.

A request ends after TIMEOUT_SECONDS, and the first one without an answer ends the examination.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from common.errors import AccessDenied, Misconfigured, ProviderRefused, ProviderUnavailable
from common.network.addresses import addresses_of, is_own_address
from common.network.trust import trusting_session
from common.providers.runtime.cluster import permissions
from common.providers.runtime.cluster.permissions import NEEDED, Permission
from common.providers.runtime.cluster_objects import (
    check_reports,
    hardening,
    names,
    network_policy,
)
from common.providers.runtime.cluster_objects.egress_policies import resolve_outside_rules
from common.settings import FleetSettings, ForgeSettings, KubernetesSettings, Settings
from common.values.finding import Finding

if TYPE_CHECKING:
    from common.providers.runtime.cluster.client import Cluster

PART = "runtime"
OLDEST = (1, 25)
"""The first version that enforces restricted Pod Security (server-side apply exists since 1.22)."""
TIMEOUT_SECONDS = (2.0, 5.0)
"""For connecting, and for the response."""
INGRESS_CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"
RUNTIME_CLASSES = "/apis/node.k8s.io/v1/runtimeclasses"
IS_DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
ROLE = "see the ClusterRole in deploy/base"


def examine_cluster(settings: Settings, *, timeout_seconds: tuple[float, float] = TIMEOUT_SECONDS) -> Iterator[Finding]:
    """Yield one finding per check, with AIWORKER_RUNTIME=kubernetes. Provider errors become findings."""
    chosen = settings.runtime.kubernetes
    assert chosen is not None
    problem = _unclonable(settings.forge)
    if problem is not None:
        yield Finding("fail", PART, problem)
    # Importing the Kubernetes client takes 1.7 s and 146 MB, so only processes that use it import it.
    kube = importlib.import_module("common.providers.runtime.cluster.client")
    try:
        cluster = kube.connect(chosen.kubeconfig, timeout_seconds=timeout_seconds)
    except Misconfigured as error:
        yield Finding("fail", PART, str(error))
        return
    try:
        forge_host = None if problem else urlsplit(settings.forge.gitea_url or "").hostname
        yield from _Examination(
            cluster, chosen, instance=settings.instance, forge_host=forge_host, timeout_seconds=timeout_seconds
        ).findings()
    except AccessDenied as error:
        yield Finding("fail", PART, str(error))
    except ProviderUnavailable as error:
        where = "KUBECONFIG" if chosen.kubeconfig else "the pod's service account and the egress of its NetworkPolicy"
        yield Finding("fail", PART, f"{error}; check {where}")
    except ProviderRefused as error:
        yield Finding("fail", PART, error.message)
    finally:
        cluster.close()


class _Examination:
    """The checks on one cluster. forge_host: the host that pods clone from; None if pods can't clone from the forge."""

    def __init__(
        self,
        cluster: Cluster,
        chosen: KubernetesSettings,
        *,
        instance: str,
        forge_host: str | None,
        timeout_seconds: tuple[float, float],
    ) -> None:
        self._cluster = cluster
        self._instance = instance
        self._forge_host = forge_host
        self._chosen = chosen
        self._timeout_seconds = timeout_seconds

    def findings(self) -> Iterator[Finding]:
        yield self._version()
        yield from self._permissions()
        if self._forge_host is not None:
            yield self._forge(self._forge_host)
        if self._chosen.health == "http":
            yield self._ingress_class()
            yield from self._ingress()
        if self._chosen.runtime_class is not None:
            yield self._runtime_class(self._chosen.runtime_class)
        yield Finding(
            "warn", PART,
            "whether NetworkPolicies are enforced can't be seen from the API; see Doctor in docs/kubernetes.md",
        )  # fmt: skip
        yield self._egress_proxy(self._chosen.egress_proxy)
        if self._chosen.fleet is not None:
            yield from self._fleet(self._chosen.fleet)

    def _version(self) -> Finding:
        version = self._cluster.version()
        found = re.match(r"v?(\d+)\.(\d+)", str(version.get("gitVersion", "")))
        name = f"Kubernetes {version.get('gitVersion')}"
        if found is None:
            return Finding("warn", PART, f"{name} answers with an unknown version format; 1.25 or newer is needed")
        if (int(found[1]), int(found[2])) < OLDEST:
            return Finding("fail", PART, f"{name} is too old: restricted Pod Security needs 1.25; update the cluster")
        if not check_reports.is_supported(version):
            says = (
                "which tests ran is not read, and projects with services do not start, before 1.29; update the cluster"
            )
            return Finding("warn", PART, f"{name} answers; {says}")
        return Finding("ok", PART, f"{name} answers")

    def _permissions(self) -> Iterator[Finding]:
        is_all_there = True
        for need in NEEDED:
            try:
                missing = [verb for verb in need.verbs if not self._may(need, verb)]
            except AccessDenied as error:
                says = f"the account's permissions can't be read ({error}); bind it to system:basic-user"
                yield Finding("warn", PART, says)
                return
            if missing:
                is_all_there = False
                yield Finding("fail", PART, f"may not {','.join(missing)} {_named(need)}: {need.why}; {ROLE}")
        if is_all_there:
            yield Finding("ok", PART, f"the account has all permissions it needs, on {len(NEEDED)} kinds of objects")

    def _may(self, need: Permission, verb: str) -> bool:
        resource, _, part = need.resource.partition("/")
        asked = {"group": need.group, "resource": resource, "verb": verb} | ({"subresource": part} if part else {})
        return permissions.is_allowed(self._cluster.review(permissions.REVIEWS, permissions.review(asked)))

    def _ingress_class(self) -> Finding:
        wanted, setting = self._chosen.ingress_class, "AIWORKER_KUBE_INGRESS_CLASS"
        try:
            listed = self._cluster.read(INGRESS_CLASSES) or {}
        except AccessDenied:
            says = "the IngressClasses can't be read (list ingressclasses is not allowed, and not needed)"
            return Finding("warn", PART, f"{says}; check that {wanted or 'a default one'} exists")
        found = {one["metadata"]["name"]: one["metadata"].get("annotations") or {} for one in listed.get("items", [])}
        others = ", ".join(sorted(found))
        if not found:
            says = "there is no IngressClass: install an ingress controller, or set AIWORKER_KUBE_HEALTH=readiness"
            return Finding("fail", PART, says)
        if wanted is not None and wanted not in found:
            return Finding("fail", PART, f"there is no IngressClass {wanted}; set {setting} to one of: {others}")
        default = next((name for name, about in found.items() if about.get(IS_DEFAULT_CLASS) == "true"), None)
        if wanted is None and default is None:
            says = f"no IngressClass is the default, so most controllers ignore apps; set {setting} to one of: {others}"
            return Finding("warn", PART, says)
        return Finding("ok", PART, f"the IngressClass {wanted or default} exists")

    def _ingress(self) -> Iterator[Finding]:
        for host in (f"aiworker-doctor.{self._chosen.domain}", f"aiworker-doctor.preview.{self._chosen.domain}"):
            yield self._answers(host)

    def _answers(self, host: str) -> Finding:
        """Send the same request as an app's health check. Any response is good: no app has this host."""
        address = self._chosen.ingress_url or f"{'https' if self._chosen.is_tls else 'http'}://{host}"
        try:
            with (
                trusting_session() as session,
                session.get(
                    f"{address}/",
                    headers={"Host": host},
                    timeout=self._timeout_seconds,
                    allow_redirects=False,
                    stream=True,
                ) as answer,
            ):
                return Finding("ok", PART, f"the ingress answers for {host} ({answer.status_code})")
        except requests.exceptions.SSLError:
            says = f"the certificate of {address} is not valid for {host}; give the ingress a valid one"
        except requests.RequestException as error:
            says = f"no ingress answers at {address} ({type(error).__name__})"
            if self._chosen.ingress_url is not None:
                says += "; check AIWORKER_KUBE_INGRESS_URL"
            elif addresses_of(host):
                says += "; check that the host resolves to the ingress, or set AIWORKER_KUBE_INGRESS_URL"
            else:
                wild = f"*.{host.partition('.')[2]}"
                says = f"{host} has no address; point {wild} at the ingress, or set AIWORKER_KUBE_INGRESS_URL"
        return Finding("fail", PART, f"{says}, or AIWORKER_KUBE_HEALTH=readiness")

    def _runtime_class(self, name: str) -> Finding:
        try:
            found = self._cluster.read(f"{RUNTIME_CLASSES}/{name}")
        except AccessDenied:
            says = f"the RuntimeClass {name} can't be read (get runtimeclasses is not allowed); check that it exists"
            return Finding("warn", PART, says)
        if found is None:
            return Finding(
                "fail", PART, f"there is no RuntimeClass {name}; create it, or change AIWORKER_KUBE_RUNTIME_CLASS"
            )
        return Finding("ok", PART, f"the RuntimeClass {name} exists")

    def _forge(self, host: str) -> Finding:
        rules = network_policy.EgressRules("AIWORKER_KUBE_EGRESS", self._chosen.egress, is_public_open=True)
        problem = self._unreachable(host, rules)
        if problem is not None:
            return Finding("warn", PART, f"pods may not reach the forge: {problem}")
        return Finding("ok", PART, f"pods can reach the forge at {host}")

    def _egress_proxy(self, url: str | None) -> Finding:
        if url is None:
            says = "NetworkPolicies can't name hosts: without AIWORKER_EGRESS_PROXY, projects with egress `registries`"
            return Finding("warn", PART, f"{says} reach every public address; set it to a proxy that knows names")
        if not resolve_outside_rules(None, url).proxy:
            host = urlsplit(url).hostname
            return Finding("fail", PART, f"{host} of AIWORKER_EGRESS_PROXY has no address here; correct it")
        return Finding("ok", PART, f"projects with egress `registries` reach the internet through {url} alone")

    def _unreachable(self, host: str, rules: network_policy.EgressRules) -> str | None:
        """Return why NetworkPolicies keep pods from reaching this host; None if they do not."""
        namespace = network_policy.service_namespace(host)
        if namespace is None:
            return network_policy.unreachable(host, rules)
        try:
            labels = self._labels(namespace)
        except AccessDenied:
            return f"the namespace {namespace} can't be read (get namespaces is not allowed)"
        if labels is None:
            return f"this cluster has no namespace {namespace}, to which the host {host} belongs; correct the address"
        name, value = network_policy.PART_OF
        if labels.get(name) == value:
            return None
        label = f"{name}={value}"
        return f"the namespace {namespace} is not labelled {label}; kubectl label namespace {namespace} {label}"

    def _labels(self, namespace: str) -> dict[str, str] | None:
        """Return the labels of a namespace; None if it does not exist."""
        found = self._cluster.read(names.path("namespaces", namespace))
        return None if found is None else dict(found["metadata"].get("labels") or {})

    def _fleet(self, fleet: FleetSettings) -> Iterator[Finding]:
        yield self._fleet_url(fleet)
        yield self._fleet_namespace(fleet.namespace)
        rules = network_policy.EgressRules("AIWORKER_AGENTS_EGRESS", fleet.egress, is_public_open=False)
        for what, host in (("AiWorker", urlsplit(fleet.url).hostname), ("the forge", self._forge_host)):
            if host and not is_own_address(host) and (problem := self._unreachable(host, rules)):
                yield Finding("warn", "agents", f"agents may not reach {what}: {problem}")

    def _fleet_url(self, fleet: FleetSettings) -> Finding:
        if is_own_address(urlsplit(fleet.url).hostname or ""):
            says = f"in a pod, AIWORKER_INTERNAL_URL={fleet.url} is the pod itself; set an address that pods can reach"
            return Finding("fail", "agents", says)
        return Finding("ok", "agents", f"up to {fleet.most} agents call AiWorker at {fleet.url}")

    def _fleet_namespace(self, name: str) -> Finding:
        other = "set AIWORKER_AGENTS_NAMESPACE to another name"
        try:
            labels = self._labels(names.name("AIWORKER_AGENTS_NAMESPACE", name))
        except AccessDenied:
            return Finding("warn", "agents", f"the namespace {name} can't be read (get namespaces is not allowed)")
        except ProviderRefused as error:
            return Finding("fail", "agents", f"{error.message}; {other}")
        if labels is None:
            return Finding("ok", "agents", f"the namespace {name} does not exist yet; the first agent creates it")
        instance_selector = {names.MANAGED_BY: "aiworker", names.INSTANCE: self._instance}
        if names.PROJECT in labels or any(labels.get(key) != value for key, value in instance_selector.items()):
            return Finding("fail", "agents", f"the namespace {name} exists and is not for these agents; {other}")
        lacking = [f"{key}={value}" for key, value in hardening.RESTRICTED.items() if labels.get(key) != value]
        if lacking:
            says = f"the namespace {name} accepts pods that are not restricted"
            return Finding("fail", "agents", f"{says}; kubectl label namespace {name} {' '.join(lacking)}")
        return Finding("ok", "agents", f"the namespace {name} belongs to this AiWorker")


def _unclonable(forge: ForgeSettings) -> str | None:
    """Return why pods can't clone from this forge, with the remedy; None if they can, network policies aside."""
    if forge.kind != "gitea" or forge.gitea_url is None:
        return "pods can't clone from the local forge; set AIWORKER_FORGE=gitea"
    if is_own_address(urlsplit(forge.gitea_url).hostname or ""):
        return f"pods can't clone from GITEA_URL={forge.gitea_url}, which is their own pod there; set a public address"
    return None


def _named(need: Permission) -> str:
    return f"{need.resource}.{need.group}" if need.group else need.resource
