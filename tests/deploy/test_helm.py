"""The Helm chart: made of deploy/base, valid, and the same install as by kustomize."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.settings import from_env
from tests.deploy.helm_chart import CHART, COMPUTED, HASHED, has_helm, helm_template, render, templates, values
from tests.deploy.manifests import Manifests, Object, build, containers_of, environment_of, faults_of_pod
from tests.doubles.kubernetes.schemas import why_invalid
from tests.servers import ROOT

pytestmark = pytest.mark.slow

GIVEN = {
    "image": "registry.example.org/aiworker:2.3.4",
    "host": "ai.example.net",
    "existingSecret": "mine",
    "ingress": {"namespace": "edge", "className": "traefik", "tlsSecret": "cert"},
    "replicas": {"web": 5, "workerSlow": 3},
    "settings": {
        "AIWORKER_LOG_LEVEL": "DEBUG",
        "AIWORKER_AGENTS_NAMESPACE": "helpers",
        "GITEA_URL": "https://git.test",
    },
}


def manifests_of(text: str) -> Manifests:
    return Manifests(text, [one for one in yaml.safe_load_all(text) if one])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Manifests:
    """What kustomize makes of the example, with stores of somebody's own."""
    folder = tmp_path_factory.mktemp("whole")
    build("base", folder)
    file = folder / "deploy/overlays/example/kustomization.yaml"
    text = file.read_text()
    assert "../../components/redis" in text
    file.write_text(re.sub(r"components:.*\n(  - .*\n)+", "", text))
    return _built(folder)


def _built(folder: Path) -> Manifests:
    command = ["kubectl", "kustomize", str(folder / "deploy/overlays/example")]
    return manifests_of(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def rendered(given: dict[str, Any], folder: Path, **options: str) -> Manifests:
    """By Helm where it is installed, which must make the same of it."""
    mine = manifests_of(render(given, **options))
    if has_helm():
        theirs = manifests_of(helm_template(given, folder, **options))
        assert _by_name(theirs.all) == _by_name(mine.all)
    return mine


def _by_name(objects: list[Object]) -> dict[tuple[str, str], Object]:
    return {(one["kind"], one["metadata"]["name"]): one for one in objects}


def test_the_templates_are_those_of_the_manifests(tmp_path: Path) -> None:
    made = templates(tmp_path)

    assert {path.name: path.read_text() for path in (CHART / "templates").iterdir()} == made
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{chart["appVersion"]}"' in project


def test_the_chart_installs_what_the_example_does(whole: Manifests, tmp_path: Path) -> None:
    chart = rendered({}, tmp_path)
    ours = {key: _without_the_charts_own(one) for key, one in _by_name(chart.all).items() if key[0] != "ConfigMap"}
    theirs = {
        key: _without_hashes(one)
        for key, one in _by_name(whole.all).items()
        if key[0] not in {"ConfigMap", "Secret", "Namespace"}
    }
    theirs["Job", "migrate-1"] = theirs.pop(("Job", "migrate"))
    theirs["Job", "migrate-1"]["metadata"]["name"] = "migrate-1"

    assert sorted(ours) == sorted(theirs)
    assert [key for key in theirs if ours[key] != theirs[key]] == []
    held = chart.one("ConfigMap", COMPUTED)["data"] | _settings_of(chart)
    assert held == whole.one("ConfigMap", "aiworker")["data"]


def _settings_of(chart: Manifests) -> dict[str, str]:
    (found,) = (one["data"] for one in chart.of("ConfigMap") if one["metadata"]["name"] == "aiworker")
    return dict(found)


def _without_the_charts_own(one: Object) -> Object:
    plain: Object = json.loads(json.dumps(one))
    if one["kind"] in {"Deployment", "Job"}:
        metadata = plain["spec"]["template"]["metadata"]
        for own in ("aiworker/settings", "aiworker/host"):
            del metadata["annotations"][own]
        if not metadata["annotations"]:
            del metadata["annotations"]
        for container in containers_of(plain):
            if "envFrom" in container:
                assert container["envFrom"].pop(0) == {"configMapRef": {"name": COMPUTED}}
    return plain


def _without_hashes(one: Object) -> Object:
    text = json.dumps(one)
    plain: Object = json.loads(re.sub(rf'"name": "{HASHED.pattern}"', '"name": "aiworker"', text))
    return plain


def test_the_values_arrive_and_every_object_is_valid(tmp_path: Path) -> None:
    chart = rendered(GIVEN, tmp_path, namespace="tools")

    assert {f"{one['kind']} {one['metadata']['name']}": why_invalid(one) for one in chart.all if why_invalid(one)} == {}
    assert {one["metadata"].get("namespace", "tools") for one in chart.all} == {"tools"}
    bound = [subject["namespace"] for one in chart.of("ClusterRoleBinding") for subject in one["subjects"]]
    assert set(bound) == {"tools"}
    for workload in chart.workloads():
        assert faults_of_pod(workload) == []
        assert {one["image"] for one in containers_of(workload)} == {GIVEN["image"]}
    counts = {one["metadata"]["name"]: one["spec"]["replicas"] for one in chart.of("Deployment")}
    assert (counts["web"], counts["worker-slow"], counts["relay"], counts["beat"]) == (5, 3, 2, 1)
    (ingress,) = chart.of("Ingress")
    assert ingress["spec"]["ingressClassName"] == "traefik"
    assert ingress["spec"]["tls"] == [{"hosts": ["ai.example.net"], "secretName": "cert"}]
    policies = json.dumps(chart.of("NetworkPolicy"))
    assert '"kubernetes.io/metadata.name": "edge"' in policies
    assert '"kubernetes.io/metadata.name": "helpers"' in policies
    assert "ingress-nginx" not in policies


def test_a_pod_starts_with_settings_that_the_platform_reads(tmp_path: Path) -> None:
    chart = rendered(GIVEN, tmp_path, namespace="tools")
    secret = {
        "AIWORKER_SECRET_KEY": "a" * 40, "AIWORKER_DATABASE_URL": "mysql://a:b@db/a", "AIWORKER_REDIS_URL": "redis://r",
        "GITEA_TOKEN": "t", "FLOWER_BASIC_AUTH": "a:b",
    }  # fmt: skip
    held = [*chart.all, {"kind": "Secret", "metadata": {"name": "mine"}, "data": _encoded(secret)}]
    environ = environment_of(containers_of(chart.workload("web"))[1], Manifests("", held))
    read = from_env(environ | {"AIWORKER_DATA_DIR": str(tmp_path)})

    assert (read.web.public_url, read.web.internal_url) == ("https://ai.example.net", "http://web.tools.svc:3000")
    assert (read.log_level, read.forge.gitea_url, read.runtime.kind) == ("DEBUG", "https://git.test", "kubernetes")
    kubernetes = read.runtime.kubernetes
    assert kubernetes is not None
    assert set(values()["settings"]) <= set(environ)
    # Beat and Flower name their keys one by one.
    for name in ("beat", "flower"):
        for container in containers_of(chart.workload(name)):
            assert environment_of(container, Manifests("", held))


def _encoded(values: dict[str, str]) -> dict[str, str]:
    return {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}
