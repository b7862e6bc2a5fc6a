"""The Helm chart's templates, made of deploy/base: `python -m tests.deploy.helm_chart` writes them anew.

So the chart and kustomize install the same. A template holds values and nothing else, no loops and no conditions:
`render` below, which has no Helm, does with it exactly what Helm does.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.manifests import Object, build, pod_of
from tests.servers import ROOT

CHART = ROOT / "deploy" / "helm" / "aiworker"
NAMESPACE = "aiworker"
COMPUTED = "aiworker-chart"
"""The ConfigMap with what follows from the other values. The settings come after it and win."""
HASHED = re.compile(r"aiworker-[a-z0-9]{10}")
HEAD = "# Made of deploy/base by `python -m tests.deploy.helm_chart`; change it there.\n"

_MARK = re.compile(r"MARK<<(.*?)>>")
_EXPRESSION = re.compile(r"\{\{ (toJson )?([.\w]+)( \| toJson \| sha256sum)? \}\}")
_REPLICAS = {"web": "web", "relay": "relay", "gateway": "gateway", "worker": "worker", "worker-slow": "workerSlow"}


def templates(folder: Path) -> dict[str, str]:
    """By the file's name, from what kustomize makes of deploy/base."""
    objects = [one for one in build("base", folder).all if one["kind"] not in {"Namespace", "ConfigMap"}]
    parts: dict[str, list[Object]] = {"settings.yaml": _settings()}
    for one in objects:
        parts.setdefault(f"{one['kind'].lower()}.yaml", []).append(_template_of(one))
    return {name: HEAD + "---\n".join(map(_written, found)) for name, found in parts.items()}


def values() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return found


def render(given: Mapping[str, Any], *, namespace: str = NAMESPACE) -> str:
    """What `helm template` makes of the chart with these values over its own."""
    known = {"Values": _merged(values(), given), "Release": {"Namespace": namespace, "Revision": 1}}

    def replaced(match: re.Match[str]) -> str:
        value: Any = known
        for name in match[2].removeprefix(".").split("."):
            value = value[name]
        if match[3]:
            return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        return json.dumps(value, sort_keys=True) if match[1] else str(value)

    texts = [_EXPRESSION.sub(replaced, path.read_text()) for path in sorted((CHART / "templates").glob("*.yaml"))]
    left = [text for text in texts if "{{" in text]
    assert not left, "the chart has a template that this does not know"
    return "---\n".join(texts)


def helm_template(given: Mapping[str, Any], folder: Path, *, namespace: str = NAMESPACE) -> str:
    """The same by Helm itself."""
    (folder / "given.yaml").write_text(yaml.safe_dump(dict(given)))
    command = ["helm", "template", "aiworker", str(CHART), "--namespace", namespace, "-f", str(folder / "given.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def has_helm() -> bool:
    return shutil.which("helm") is not None


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], value) if both else value
    return merged


def _settings() -> list[Object]:
    labels = {"app.kubernetes.io/part-of": "aiworker"}

    def config_map(name: str, data: object) -> Object:
        about = {"name": name, "namespace": _value(".Release.Namespace"), "labels": labels}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": data}

    computed = {
        "AIWORKER_PUBLIC_URL": f"https://{_mark('.Values.host')}",
        "AIWORKER_INTERNAL_URL": f"http://web.{_mark('.Release.Namespace')}.svc:3000",
        "AIWORKER_GATEWAY_URL": f"http://gateway.{_mark('.Release.Namespace')}.svc:3002",
        "AIWORKER_KUBE_IMAGE": _value(".Values.image"),
        "AIWORKER_KUBE_INGRESS_CLASS": _value(".Values.ingress.className"),
    }
    return [config_map(COMPUTED, computed), config_map("aiworker", _value(".Values.settings"))]


def _template_of(one: Object) -> Object:
    made: Object = _named(one)
    kind, name = made["kind"], made["metadata"]["name"]
    if kind in {"Deployment", "Job"}:
        _of_pod(made)
    if kind == "Deployment" and name in _REPLICAS:
        made["spec"]["replicas"] = _value(f".Values.replicas.{_REPLICAS[name]}")
    if kind == "Job":
        # A Job can't be changed: each upgrade makes another one.
        made["metadata"]["name"] = f"{name}-{_mark('.Release.Revision')}"
    if kind == "Ingress":
        made["spec"] |= {"ingressClassName": _value(".Values.ingress.className")}
        made["spec"]["rules"][0]["host"] = _value(".Values.host")
        made["spec"]["tls"] = [{"hosts": [_value(".Values.host")], "secretName": _value(".Values.ingress.tlsSecret")}]
    return made


def _of_pod(workload: Object) -> None:
    # Pods read their settings when they start.
    workload["spec"]["template"]["metadata"].setdefault("annotations", {}).update(
        {
            "aiworker/settings": _mark(".Values.settings | toJson | sha256sum"),
            "aiworker/host": _value(".Values.host"),
        }
    )
    pod = pod_of(workload)
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        assert container["image"] == "aiworker"
        container["image"] = _value(".Values.image")
        if "envFrom" in container:
            container["envFrom"].insert(0, {"configMapRef": {"name": COMPUTED}})
        for source in [*container.get("envFrom", []), *(one.get("valueFrom", {}) for one in container.get("env", []))]:
            for reference in ("secretRef", "secretKeyRef"):
                if reference in source:
                    source[reference]["name"] = _value(".Values.existingSecret")


def _named(part: Any, key: str = "") -> Any:
    """The object with this release's namespaces, and without the hashes of kustomize."""
    if isinstance(part, dict):
        return {name: _named(value, name) for name, value in part.items()}
    if isinstance(part, list):
        return [_named(value) for value in part]
    if key == "namespace" and part == NAMESPACE:
        return _value(".Release.Namespace")
    if key == "kubernetes.io/metadata.name":
        known = {
            "ingress-nginx": ".Values.ingress.namespace",
            "aiworker-agents": ".Values.settings.AIWORKER_AGENTS_NAMESPACE",
        }
        return _value(known[part])
    if key == "name" and isinstance(part, str) and HASHED.fullmatch(part):
        return "aiworker"
    return part


def _mark(expression: str) -> str:
    return f"MARK<<{expression}>>"


def _value(expression: str) -> str:
    """A whole value, of whatever type: JSON is YAML."""
    return _mark(f"toJson {expression}")


def _written(one: Object) -> str:
    text = yaml.safe_dump(one, sort_keys=False, width=1000)
    return _MARK.sub(r"{{ \1 }}", text)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = templates(Path(folder))
    for old in (CHART / "templates").glob("*.yaml"):
        old.unlink()
    for name, text in made.items():
        (CHART / "templates" / name).write_text(text)


if __name__ == "__main__":
    main()
