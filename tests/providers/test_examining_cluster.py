"""What the examination of a cluster finds: all well on a good one, and by name what lacks on each that is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from common.providers.runtime.cluster.client import connect
from common.providers.runtime.cluster.examination import examine_cluster
from common.providers.runtime.cluster.permissions import NEEDED
from common.settings import from_env
from common.values.finding import Finding
from tests.doubles.kubernetes import ClusterDouble
from tests.long_waits import LONG_WAIT_SECONDS

AGENTS = {"AIWORKER_AGENTS_MAX": "3", "AIWORKER_INTERNAL_URL": "http://web.platform.svc:3000"}
PART_OF = {"app.kubernetes.io/part-of": "aiworker"}
Examine = Callable[..., list[Finding]]

PATIENT = (LONG_WAIT_SECONDS, LONG_WAIT_SECONDS)


@pytest.fixture
def examine(cluster: ClusterDouble, tmp_path: Path) -> Examine:
    """The findings on the double with these settings beside the usual ones."""

    def look(timeout_seconds: tuple[float, float] = PATIENT, **more: str) -> list[Finding]:
        environ = {
            "AIWORKER_SECRET_KEY": "0123456789abcdef" * 2,
            "AIWORKER_DATA_DIR": str(tmp_path),
            "AIWORKER_FORGE": "gitea",
            "GITEA_URL": "http://git.forge.svc:3000",
            "GITEA_TOKEN": "token",
            "AIWORKER_RUNTIME": "kubernetes",
            "AIWORKER_KUBE_DOMAIN": "apps.test",
            "AIWORKER_KUBE_IMAGE": "registry.test/aiworker:1",
            "AIWORKER_KUBE_INGRESS_URL": cluster.url,
            "KUBECONFIG": cluster.kubeconfig(tmp_path),
        }
        return list(examine_cluster(from_env(environ | more), timeout_seconds=timeout_seconds))

    with_namespace(cluster, tmp_path, "forge", PART_OF)
    with_namespace(cluster, tmp_path, "platform", PART_OF)
    with_namespace(cluster, tmp_path, "elsewhere", {})
    return look


def with_namespace(cluster: ClusterDouble, directory: Path, name: str, labels: dict[str, str]) -> None:
    connected = connect(cluster.kubeconfig(directory))
    about = {"name": name, "labels": labels}
    connected.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": about})
    connected.close()


def wrong(findings: list[Finding]) -> list[tuple[str, str]]:
    """What is not ok, but for the one thing that never can be seen."""
    said = [(one.status, one.says) for one in findings if one.status != "ok"]
    return [(status, says) for status, says in said if "NetworkPolicies" not in says]


def says(findings: list[Finding], status: str) -> str:
    return "\n".join(one.says for one in findings if one.status == status)


def test_all_is_well_on_a_cluster_that_has_and_allows_everything(cluster: ClusterDouble, examine: Examine) -> None:
    before = list(cluster.sent), cluster.names("namespaces")

    found = examine(AIWORKER_KUBE_RUNTIME_CLASS="gvisor", **AGENTS)

    assert wrong(found) == []
    good = says(found, "ok")
    for words in (
        "Kubernetes v1.33.0 answers", f"on {len(NEEDED)} kinds of objects", "IngressClass nginx",
        "RuntimeClass gvisor", "aiworker-doctor.apps.test (404)", "aiworker-doctor.preview.apps.test (404)",
        "forge at git.forge.svc", "up to 3 agents", "aiw-agents does not exist yet",
    ):  # fmt: skip
        assert words in good
    assert (list(cluster.sent), cluster.names("namespaces")) == before
    assert {line.split(" ")[0] for line in cluster.requests[3:]} == {"GET", "POST"}
    assert all("selfsubjectaccessreviews" in line for line in cluster.requests[3:] if line.startswith("POST"))


@pytest.mark.parametrize(
    ("version", "status", "words"),
    [
        ("v1.24.17", "fail", "Kubernetes v1.24.17 is too old"),
        ("v1.25.0-eks-1", "warn", "Kubernetes v1.25.0-eks-1 answers; which tests ran is not read"),
        ("v1.29.0-eks-1", "ok", "Kubernetes v1.29.0-eks-1 answers"),
        ("weekly.2.x", "warn", "unknown version format"),
    ],
)
def test_the_version_must_have_what_is_used(
    cluster: ClusterDouble, examine: Examine, version: str, status: str, words: str
) -> None:
    cluster.access.version = version

    assert words in says(examine(), status)


def test_each_missing_permission_is_named_with_what_needs_it(cluster: ClusterDouble, examine: Examine) -> None:
    cluster.access.denied = {("create", "secrets"), ("patch", "secrets"), ("get", "pods/log"), ("delete", "ingresses")}

    assert wrong(examine()) == [
        ("fail", "may not create,patch secrets: variables of versions, credentials of checkouts and agents; "
                 "see the ClusterRole in deploy/base"),
        ("fail", "may not get pods/log: logs; see the ClusterRole in deploy/base"),
        ("fail", "may not delete ingresses.networking.k8s.io: hosts of apps; see the ClusterRole in deploy/base"),
    ]  # fmt: skip


def test_a_cluster_that_is_not_there_is_named(examine: Examine, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    with ClusterDouble() as double:
        kubeconfig = double.kubeconfig(gone)

    (found,) = examine(KUBECONFIG=kubeconfig)
    assert (found.status, found.says.endswith("; check KUBECONFIG")) == ("fail", True)

    clone, found = examine(KUBECONFIG=str(tmp_path / "nothing"), AIWORKER_FORGE="local")
    assert "can't clone from the local forge" in clone.says
    assert (found.status, "can't use KUBECONFIG=" in found.says) == ("fail", True)


@pytest.mark.parametrize(
    ("classes", "wanted", "status", "words"),
    [
        (([], None), "", "fail", "there is no IngressClass: install an ingress controller"),
        ((["nginx", "traefik"], None), "", "warn", "set AIWORKER_KUBE_INGRESS_CLASS to one of: nginx, traefik"),
        ((["nginx"], "nginx"), "haproxy", "fail", "there is no IngressClass haproxy; "),
        ((["nginx", "traefik"], None), "traefik", "ok", "the IngressClass traefik exists"),
    ],
)
def test_an_ingress_class_must_serve_the_apps(
    cluster: ClusterDouble,
    examine: Examine,
    classes: tuple[list[str], str | None],
    wanted: str,
    status: str,
    words: str,
) -> None:
    cluster.access.ingress_classes, cluster.access.default_class = classes

    assert words in says(examine(AIWORKER_KUBE_INGRESS_CLASS=wanted), status)


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [
        ({"AIWORKER_FORGE": "local"}, "fail", "can't clone from the local forge; set AIWORKER_FORGE=gitea"),
        ({"GITEA_URL": "http://localhost:3000"}, "fail", "can't clone from GITEA_URL=http://localhost:3000"),
        ({"GITEA_URL": "http://10.1.2.3:3000"}, "warn", "forge: 10.1.2.3 is reached only if AIWORKER_KUBE_EGRESS"),
        ({"GITEA_URL": "http://1.1.1.1"}, "ok", "reach the forge at 1.1.1.1"),
        ({"GITEA_URL": "http://git.elsewhere.svc"}, "warn", "kubectl label namespace elsewhere "),
    ],
)  # fmt: skip
def test_the_forge_must_be_one_that_pods_clone_from(
    examine: Examine, more: dict[str, str], status: str, words: str
) -> None:
    assert words in says(examine(**more), status)


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [
        ({"AIWORKER_INTERNAL_URL": "http://127.0.0.2:3000"}, "fail", "127.0.0.2:3000 is the pod itself"),
        ({"AIWORKER_AGENTS_NAMESPACE": "platform"}, "fail", "platform exists and is not for these agents"),
        ({"AIWORKER_INTERNAL_URL": "http://1.1.1.1"}, "warn", "agents may not reach AiWorker: 1.1.1.1 is"),
        (
            {"GITEA_URL": "http://1.1.1.1", "AIWORKER_AGENTS_EGRESS": "1.1.1.1/32"},
            "ok", "up to 3 agents call AiWorker at http://web.platform.svc:3000",
        ),
    ],
)  # fmt: skip
def test_the_agents_settings_must_be_good_for_pods(
    examine: Examine, more: dict[str, str], status: str, words: str
) -> None:
    assert words in says(examine(**(AGENTS | more)), status)
