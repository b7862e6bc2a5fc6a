"""docs/install-kubernetes.md as a reader follows it: every script as it stands, by the real kubectl, on the double.

What runs for real besides is in platform_node.py. The page's own words for what a reader fills in (addresses outside,
the token of Gitea) are led to doubles here; docker is a model of its command line: docker_model.py.
"""

from __future__ import annotations

import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import leave_out, need
from tests.deploy.platform_node import PlatformNode
from tests.deploy.reading import Reader
from tests.deploy.typed_programs import path_with
from tests.doubles.gitea import GiteaDouble
from tests.doubles.kubernetes import ClusterDouble
from tests.patience import PATIENCE_SECONDS
from tests.servers import ROOT
from tests.tls import make_certificate
from tests.web.documentation.snippets import Block, inline_codes, scripts

pytestmark = pytest.mark.slow

PAGE = "docs/install-kubernetes.md"
SPEED = 5
"""Of the cluster's clock: its ten minutes for a rollout are two of ours, which a busy machine may need."""
PASSWORD = "a password of tests"

NOT_TYPED = {
    "kubectl -n aiworker exec deploy/worker -- aiworker doctor",  # as in a script of the page
    "kubectl -n aiworker port-forward deploy/flower 5555",  # the double forwards no ports: test_page.py looks at it
}
"""Commands in sentences that this does not type."""


@dataclass
class Installation:
    """A machine with kubectl and a checkout, and the cluster that it reaches."""

    reader: Reader
    cluster: ClusterDouble
    node: PlatformNode
    folder: Path
    token: str = ""

    def secret(self) -> dict[str, str]:
        lines = (self.folder / "deploy/overlays/mine/secret.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def log_in(self) -> None:
        login = {"username": "admin", "password": PASSWORD}
        reply = requests.post(f"{self.node.web_url}/api/auth/login", json=login, timeout=PATIENCE_SECONDS)
        assert reply.status_code == 200, reply.text
        self.token = reply.json()["accessToken"]

    def ask(self, method: str, path: str, body: object = None) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return requests.request(
            method, f"{self.node.web_url}/api{path}", json=body, headers=headers, timeout=PATIENCE_SECONDS
        )


@pytest.fixture
def gitea(tmp_path: Path) -> Iterator[GiteaDouble]:
    (tmp_path / "gitea").mkdir()
    double = GiteaDouble(tmp_path / "gitea")
    yield double
    double.close()


@pytest.fixture
def installation(tmp_path: Path, gitea: GiteaDouble) -> Iterator[Installation]:
    need("less", "openssl")
    if shutil.which("mariadb-dump") is None:
        leave_out("MariaDB is not installed (on Debian: apt-get install mariadb-server)")
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copytree(ROOT / "deploy", folder / "deploy", ignore=shutil.ignore_patterns("mine"))
    shutil.copy(ROOT / "Dockerfile", folder)
    (tmp_path / "pods").mkdir()
    elsewhere = {"https://git.example.org": gitea.url, "the token of the site administrator": gitea.token}
    more = {"AIWORKER_DISK_RESERVE_BYTES": "0", "AIWORKER_CHROMIUM": "off"}
    node = PlatformNode(tmp_path / "pods", elsewhere, more)
    with (
        ClusterDouble(speed=SPEED, node=node, shell=node) as cluster,
        cluster.secure_kubeconfig(tmp_path) as kubeconfig,
    ):
        node.store = cluster.store
        more.update({"KUBECONFIG": cluster.kubeconfig(tmp_path), "AIWORKER_KUBE_INGRESS_URL": cluster.url})
        env = {
            "PATH": path_with(tmp_path / "bin", "docker"), "HOME": str(folder), "KUBECONFIG": kubeconfig,
            "EDITOR": "editor-of-tests", "PASSPHRASE": "a passphrase of tests",
        }  # fmt: skip
        yield Installation(Reader(PAGE, folder, env), cluster, node, folder)


def test_a_reader_gets_from_an_empty_cluster_to_the_first_task_and_back(installation: Installation) -> None:
    install(installation)
    look_and_work(installation)
    keep_and_leave(installation)
    installation.reader.finish()


def install(at: Installation) -> None:
    reader, cluster = at.reader, at.cluster
    built = reader.read("docker build")
    assert (built.text.split(), built.failed) == (
        ["built", "registry.example.org/aiworker:1.0.0", "pushed", "registry.example.org/aiworker:1.0.0"], []
    )  # fmt: skip
    assert reader.read("cp -r deploy/overlays/example").failed == []

    kubectl(at, "create namespace gitea")
    assert reader.read("kubectl label namespace gitea").failed == []
    assert cluster.object("namespaces", "", "gitea")["metadata"]["labels"] == {"app.kubernetes.io/part-of": "aiworker"}

    assert reader.read("openssl rand").failed == []
    mode = (at.folder / "deploy/overlays/mine/secret.env").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert all(at.secret().values())

    make_certificate(at.folder, "aiworker.example.org")
    made = reader.read("kubectl apply -k")
    assert made.failed == []
    assert "kind: StatefulSet" in made.text
    assert "job.batch/migrate condition met" in made.text
    rolled_out = re.findall(r'deployment "([\w-]+)" successfully rolled out', made.text)
    assert rolled_out == ["web", "worker", "worker-slow"]
    assert cluster.object("secrets", "aiworker", "aiworker-tls")["type"] == "kubernetes.io/tls"
    assert requests.get(f"{at.node.web_url}/api/health", timeout=PATIENCE_SECONDS).status_code == 200

    added = reader.read("aiworker user add admin", typing=PASSWORD)
    assert added.failed == [], added
    at.log_in()
    assert at.ask("GET", "/auth/me").json()["user"]["role"] == "admin"


def look_and_work(at: Installation) -> None:
    seen = at.reader.read("aiworker doctor")
    # The doubles and web are on this machine's own address, which no pod could reach; the rest is well.
    failed = [line for line in seen.text.splitlines() if line.startswith("fail")]
    assert [line.split("=")[0] for line in failed] == [
        "fail  runtime   pods can't clone from GITEA_URL", "fail  agents    in a pod, AIWORKER_INTERNAL_URL"
    ], seen.text  # fmt: skip
    assert "ok    web       answers" in seen.text

    spoken_of = [code for _, code in inline_codes() if code.startswith("kubectl ") and code not in NOT_TYPED]
    assert len(spoken_of) == 2
    for code in spoken_of:
        kubectl(at, code.removeprefix("kubectl "))

    def shows_an_event(said: str) -> bool:
        for task in greetings(at):
            at.ask("POST", "/tasks", {"projectId": task["projectId"], "title": "Another"})
        return "task:created" in said

    worked = at.reader.read("aiworker watch", until=shows_an_event)
    assert worked.failed == [], worked
    (task,) = greetings(at)
    assert "index.html" in task["description"]


def greetings(at: Installation) -> list[dict[str, Any]]:
    """The tasks "Say hello". They are asked for by name: hundreds of newer ones may come before them."""
    found = at.ask("GET", "/projects").json()["projects"]
    lists = [at.ask("GET", f"/tasks?projectId={one['id']}&q=Say%20hello").json()["tasks"] for one in found]
    return [task for tasks in lists for task in tasks if task["title"] == "Say hello"]


def keep_and_leave(at: Installation) -> None:
    cluster = at.cluster
    (in_a_pod,) = [one for one in scripts("docs/backup.md") if "kubectl" in one.text]
    assert at.reader.run(in_a_pod).failed == []
    backup = at.folder / "today.backup"
    assert backup.stat().st_size > 10_000

    migrated = cluster.object("jobs", "aiworker", "migrate")["metadata"]["uid"]
    assert at.reader.read("delete job migrate").failed == []
    assert cluster.object("jobs", "aiworker", "migrate")["metadata"]["uid"] != migrated

    assert at.reader.read("mariadb-dump").failed == []
    dump = (at.folder / "aiworker.sql").read_text()
    assert "Say hello" in dump

    before = at.ask("GET", "/tasks?limit=100").json()["tasks"]
    restored = at.reader.read("scale deploy --all")
    assert restored.failed == [], restored
    kubectl(at, "-n aiworker rollout status deploy/web --timeout=2m")
    assert at.ask("GET", "/tasks?limit=100").json()["tasks"] == before

    assert at.reader.read("kubectl delete -k").failed == []
    assert cluster.names("namespaces") == ["gitea"]
    assert cluster.names("clusterroles") == []


def kubectl(at: Installation, line: str) -> None:
    said = at.reader.run(Block(line, "bash", frozenset(), f"kubectl {line}\n"))
    assert said.failed == [], said
