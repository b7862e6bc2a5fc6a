"""The page that tells how to install: what it names is there, and what it says can be left out can be."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.settings import from_env
from tests.deploy.manifests import Manifests
from tests.servers import ROOT

PAGE = (ROOT / "docs/install-kubernetes.md").read_text()
EXAMPLE = ROOT / "deploy/overlays/example"


def _names(text: str) -> list[str]:
    return re.findall(r"^ *([A-Z_]+)=", text, re.MULTILINE)


def test_the_pages_command_writes_every_secret_of_the_example() -> None:
    command = PAGE[PAGE.index("<<END") : PAGE.index("\n   END\n")]

    assert _names(command) == _names((EXAMPLE / "secret.env.example").read_text())


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """The example without certificates and without the parts that one may have already."""
    copy = tmp_path / "deploy"
    shutil.copytree(ROOT / "deploy", copy)
    example = copy / "overlays/example"
    shutil.copy(example / "secret.env.example", example / "secret.env")
    whole: dict[str, Any] = yaml.safe_load((example / "kustomization.yaml").read_text())
    del whole["components"]
    for replacement in whole["replacements"]:
        for target in replacement["targets"]:
            target["fieldPaths"] = [path for path in target["fieldPaths"] if path != "spec.tls.0.hosts.0"]
    (example / "kustomization.yaml").write_text(yaml.safe_dump(whole))
    ingress = yaml.safe_load((example / "ingress.yaml").read_text())
    del ingress["spec"]["tls"]
    (example / "ingress.yaml").write_text(yaml.safe_dump(ingress))
    settings = (example / "settings.env").read_text()
    settings = settings.replace("PUBLIC_URL=https:", "PUBLIC_URL=http:").replace("KUBE_TLS=1", "KUBE_TLS=0")
    (example / "settings.env").write_text(settings)
    return example


@pytest.mark.slow
def test_it_is_built_without_certificates_and_with_stores_of_ones_own(plain: Path, example: Manifests) -> None:
    built = subprocess.run(["kubectl", "kustomize", str(plain)], capture_output=True, text=True, check=True).stdout
    manifests = Manifests(built, list(yaml.safe_load_all(built)))

    chosen = from_env(manifests.settings())
    assert chosen.runtime.kubernetes is not None
    assert not chosen.runtime.kubernetes.is_tls
    assert "tls" not in manifests.one("Ingress", "aiworker")["spec"]
    left_out = {one["metadata"]["name"] for one in example.all} - {one["metadata"]["name"] for one in manifests.all}
    assert {name for name in left_out if not name.startswith("aiworker-")} == {"mysql", "redis", "to-mysql", "to-redis"}
