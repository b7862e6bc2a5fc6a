"""The pages of deploy/ as a reader follows them: compose, Helm, and a proxy with TLS in front of a real instance.

docker and helm are models of their command lines (docker_model.py, helm_model.py); kubectl and curl are the real ones.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from flask import Flask

from common.settings import settings
from tests.conftest import need
from tests.deploy.reading import Reader
from tests.deploy.typed_programs import path_with
from tests.doubles.kubernetes import ClusterDouble
from tests.doubles.kubernetes.node import SimulatedNode
from tests.servers import ROOT
from tests.tls import make_certificate, tls_in_front_of
from tests.web.conftest import app_on, plain_app
from tests.web.documentation.snippets import scripts
from tests.web.world import served

__all__ = ["app_on", "plain_app"]

HELM = "deploy/helm/README.md"
COMPOSE = "deploy/compose/README.md"
PROXY = "deploy/reverse-proxy/README.md"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT / "deploy", folder / "deploy", ignore=shutil.ignore_patterns("mine"))
    shutil.copy(ROOT / "Dockerfile", folder)
    return folder


@pytest.mark.slow
def test_compose_is_started_and_asked(checkout: Path, tmp_path: Path) -> None:
    reader = Reader(COMPOSE, checkout, {"PATH": path_with(tmp_path / "bin", "docker")})

    said = reader.read("docker compose up -d")
    reader.finish()

    assert (said.text.splitlines(), said.failed) == (["up aiworker", "logs aiworker"], [])
    assert (checkout / "deploy/compose/.env").stat().st_mode & 0o777 == 0o600


@pytest.fixture
def cluster() -> Iterator[ClusterDouble]:
    with ClusterDouble(speed=20, node=SimulatedNode()) as double:
        yield double


@pytest.mark.slow
def test_the_chart_is_installed_with_its_secret(checkout: Path, tmp_path: Path, cluster: ClusterDouble) -> None:
    shutil.copy(checkout / "deploy/overlays/example/secret.env.example", checkout / "secret.env")
    mine = {
        "image": "registry.example.org/aiworker:1.0.0",
        "host": "ai.example.org",
        "settings": {"AIWORKER_KUBE_TLS": "0"},
    }
    (checkout / "mine.yaml").write_text(yaml.safe_dump(mine))
    with cluster.secure_kubeconfig(tmp_path) as kubeconfig:
        env = {"PATH": path_with(tmp_path / "bin", "helm"), "HOME": str(checkout), "KUBECONFIG": kubeconfig}
        reader = Reader(HELM, checkout, env)
        failed = [reader.read(word).failed for word in ("namespace.yaml", "--from-env-file", "helm upgrade")]
        reader.finish()

    assert failed == [[], [], []]
    assert set(cluster.object("secrets", "aiworker", "aiworker")["data"]) >= {"AIWORKER_SECRET_KEY", "GITEA_TOKEN"}
    images = {
        cluster.object("deployments", "aiworker", name)["spec"]["template"]["spec"]["containers"][0]["image"]
        for name in cluster.names("deployments", "aiworker")
    }
    assert images == {"registry.example.org/aiworker:1.0.0"}
    assert cluster.names("jobs", "aiworker") == ["migrate-1"]


@pytest.mark.slow
def test_an_instance_behind_tls_answers_as_the_page_says(
    plain_app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the settings of the page, its own curl lines, and a proxy that only ends TLS."""
    need("curl")
    setting, _checking = scripts(PROXY)
    for line in setting.text.splitlines():
        monkeypatch.setenv(*line.split("=", 1))
    settings.cache_clear()
    certificate = make_certificate(tmp_path, "aiworker.example.com")
    with served() as url, tls_in_front_of(int(url.rpartition(":")[2]), certificate) as port:
        (tmp_path / ".curlrc").write_text(
            f'connect-to = "aiworker.example.com:443:127.0.0.1:{port}"\ncacert = "{certificate.certificate}"\n'
        )
        reader = Reader(PROXY, tmp_path, {"PATH": os.environ["PATH"], "HOME": str(tmp_path)})
        assert reader.read("AIWORKER_PUBLIC_URL").failed == []
        said = reader.read("curl -fsS")
        reader.finish()

    assert '"status"' in said.text
    assert "101" in said.text
    # The socket is open until curl's own time is over: 28.
    assert [line.split()[0] for line in said.failed] == ["28"], said
