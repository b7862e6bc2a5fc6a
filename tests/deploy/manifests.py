"""The manifests of deploy/ as kustomize builds them, and what is asked about them."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from common.settings import from_env
from tests.servers import ROOT

Object = dict[str, Any]
Labels = dict[str, str]

COMMANDS = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())


def build(kustomization: str, folder: Path) -> Manifests:
    """What `kubectl kustomize deploy/<kustomization>` makes, the example's Secret filled in as it is."""
    copy = folder / "deploy"
    shutil.copytree(ROOT / "deploy", copy, dirs_exist_ok=True)
    example = copy / "overlays/example/secret.env.example"
    shutil.copy(example, example.with_name("secret.env"))
    built = subprocess.run(
        ["kubectl", "kustomize", str(copy / kustomization)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return Manifests(built.stdout, list(yaml.safe_load_all(built.stdout)))


@dataclass(frozen=True)
class Manifests:
    text: str
    all: list[Object]

    def of(self, *kinds: str) -> list[Object]:
        return [one for one in self.all if one["kind"] in kinds]

    def one(self, kind: str, name: str) -> Object:
        """By its name, or by what its name was before kustomize put a hash behind it."""
        (found,) = (
            one
            for one in self.of(kind)
            if one["metadata"]["name"] == name or (kind in HASHED and one["metadata"]["name"].startswith(f"{name}-"))
        )
        return found

    def workloads(self) -> list[Object]:
        return self.of("Deployment", "StatefulSet", "Job")

    def workload(self, name: str) -> Object:
        (found,) = (one for one in self.workloads() if one["metadata"]["name"] == name)
        return found

    def settings(self) -> Labels:
        """What ConfigMap and Secret hold together: the environment of web and workers."""
        secret = self.one("Secret", "aiworker")
        return self.one("ConfigMap", "aiworker")["data"] | decoded(secret["data"])

    def selected(self, selector: Mapping[str, Any]) -> set[str]:
        """The names of the workloads whose pods a label selector takes."""
        return {one["metadata"]["name"] for one in self.workloads() if takes(selector, labels_of(one))}


HASHED = {"ConfigMap", "Secret"}


def decoded(values: Mapping[str, str]) -> Labels:
    return {name: base64.b64decode(value).decode() for name, value in values.items()}


def pod_of(workload: Object) -> Object:
    pod: Object = workload["spec"]["template"]["spec"]
    return pod


def labels_of(workload: Object) -> Labels:
    labels: Labels = workload["spec"]["template"]["metadata"]["labels"]
    return labels


def containers_of(workload: Object) -> list[Object]:
    pod = pod_of(workload)
    return [*pod.get("initContainers", []), *pod["containers"]]


def takes(selector: Mapping[str, Any], labels: Labels) -> bool:
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    return wanted and all(_holds(one, labels) for one in selector.get("matchExpressions", []))


def _holds(expression: Object, labels: Labels) -> bool:
    assert expression["operator"] == "In", expression
    return labels.get(expression["key"]) in expression["values"]


def environment_of(container: Object, manifests: Manifests) -> Labels:
    """The variables that a container starts with. KeyError for a key that ConfigMap or Secret do not have."""
    held = {
        one["metadata"]["name"]: one["data"] if one["kind"] == "ConfigMap" else decoded(one["data"])
        for one in manifests.of("ConfigMap", "Secret")
    }
    found: Labels = {}
    for source in container.get("envFrom", []):
        found |= held[next(iter(source.values()))["name"]]
    for variable in container.get("env", []):
        if "value" in variable:
            found[variable["name"]] = variable["value"]
        else:
            source = next(iter(variable["valueFrom"].values()))
            found[variable["name"]] = held[source["name"]][source["key"]]
    return found


def key_references(manifests: Manifests) -> Iterator[str]:
    """The keys of ConfigMap and Secret that a container names one by one."""
    for workload in manifests.workloads():
        for container in containers_of(workload):
            for variable in container.get("env", []):
                if "valueFrom" in variable:
                    yield next(iter(variable["valueFrom"].values()))["key"]


class _Asked(dict[str, str]):
    """An environment that notes which of its variables are read."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)


def names_read(environ: Mapping[str, str]) -> set[str]:
    """The variables that the settings look at, given these values."""
    asked = _Asked(environ)
    from_env(asked)
    return asked.names


def faults_of_pod(workload: Object) -> list[str]:
    """What a pod may do that none of ours may."""
    pod = pod_of(workload)
    chosen = pod.get("securityContext", {})
    faults = []
    if not chosen.get("runAsNonRoot") or not chosen.get("runAsUser") or not chosen.get("runAsGroup"):
        faults.append("it may run as root")
    if chosen.get("seccompProfile") != {"type": "RuntimeDefault"}:
        faults.append("it may make every system call")
    if "automountServiceAccountToken" not in pod or "serviceAccountName" not in pod:
        faults.append("whether it has a token is left to the account")
    if pod.get("enableServiceLinks") is not False:
        faults.append("its environment holds names of services")
    if pod.get("hostNetwork") or pod.get("hostPID") or pod.get("hostIPC"):
        faults.append("it sees the node")
    for volume in pod.get("volumes", []):
        if "sizeLimit" not in volume.get("emptyDir", {}):
            faults.append(f"volume {volume['name']} has no size")
    for container in containers_of(workload):
        faults += [f"{container['name']}: {fault}" for fault in _faults_of_container(container)]
    return faults


def _faults_of_container(container: Object) -> Iterator[str]:
    chosen = container.get("securityContext", {})
    if chosen.get("allowPrivilegeEscalation") is not False or chosen.get("capabilities") != {"drop": ["ALL"]}:
        yield "it may become more than it is"
    if chosen.get("readOnlyRootFilesystem") is not True:
        yield "its root may be written"
    if {"runAsUser", "runAsNonRoot", "privileged"} & set(chosen):
        yield "it chooses another user than its pod"
    resources = container.get("resources", {})
    if set(resources.get("limits", {})) != {"cpu", "memory", "ephemeral-storage"}:
        yield "it has no limits"
    if not {"cpu", "memory"} <= set(resources.get("requests", {})):
        yield "it asks for nothing"
