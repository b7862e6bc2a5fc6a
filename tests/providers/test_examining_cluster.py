"""What the examination of a cluster finds: all well on a good one, and by name what lacks on each that is not."""

from __future__ import annotations

import datetime
import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from common.findings import Finding
from common.providers.runtime.cluster_examination import examine_cluster
from common.providers.runtime.hardening import RESTRICTED
from common.providers.runtime.kube import connect
from common.providers.runtime.permissions import NEEDED, Permission
from common.settings import from_env
from tests.doubles.kubernetes import ClusterDouble
from tests.patience import PATIENCE_SECONDS

AGENTS = {"AIWORKER_AGENTS_MAX": "3", "AIWORKER_INTERNAL_URL": "http://web.platform.svc:3000"}
PART_OF = {"app.kubernetes.io/part-of": "aiworker"}
Examine = Callable[..., list[Finding]]

PATIENT = (PATIENCE_SECONDS, PATIENCE_SECONDS)


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


@pytest.fixture
def self_signed_url(tmp_path: Path) -> Iterator[str]:
    """A server whose certificate nobody has signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "elsewhere.test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = tmp_path / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


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


def test_whether_policies_are_enforced_is_said_to_be_unseen(examine: Examine) -> None:
    assert "NetworkPolicies are enforced can't be seen" in says(examine(), "warn")


@pytest.mark.parametrize(
    ("proxy", "status", "words"),
    [
        (None, "warn", "projects with egress `registries` reach every public address"),
        ("http://proxy.egress.svc:3128", "ok", "through http://proxy.egress.svc:3128 alone"),
        ("http://no.invalid:3128", "fail", "no.invalid of AIWORKER_EGRESS_PROXY has no address here"),
    ],
)
def test_what_registries_means_in_this_cluster_is_said(
    examine: Examine, proxy: str | None, status: str, words: str
) -> None:
    assert words in says(examine(**({"AIWORKER_EGRESS_PROXY": proxy} if proxy else {})), status)


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


@pytest.mark.parametrize("need", NEEDED, ids=lambda need: need.resource)
def test_nothing_that_is_needed_is_forgotten(cluster: ClusterDouble, examine: Examine, need: Permission) -> None:
    cluster.access.denied = {(verb, need.resource) for verb in need.verbs}

    (found,) = says(examine(AIWORKER_KUBE_HEALTH="readiness"), "fail").splitlines()

    assert found.startswith(f"may not {','.join(need.verbs)} {need.resource}")


def test_who_may_not_even_ask_is_told_so(cluster: ClusterDouble, examine: Examine) -> None:
    cluster.faults.add("selfsubjectaccessreviews", "403", nth=0)

    (found,) = wrong(examine())

    assert found[0] == "warn"
    assert "bind it to system:basic-user" in found[1]


def test_a_cluster_that_hangs_is_given_up(cluster: ClusterDouble, examine: Examine) -> None:
    cluster.faults.add("", "hang", nth=0)

    (found,) = examine((0.5, 0.3))

    assert found.status == "fail"
    assert "did not answer GET /version" in found.says
    assert found.says.endswith("; check KUBECONFIG")


def test_a_cluster_that_hangs_in_between_is_given_up_at_once(cluster: ClusterDouble, examine: Examine) -> None:
    cluster.faults.add("POST", "hang", nth=2)

    found: list[Finding] = []
    while not cluster.faults.struck:  # an earlier request may have been given up, too
        found = examine((2.0, 2.0))
        assert found[-1].status == "fail"

    assert [one.status for one in found] == ["ok", "fail"]
    assert "did not answer POST" in found[1].says


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


def test_an_account_that_the_cluster_does_not_know_is_named(cluster: ClusterDouble, examine: Examine) -> None:
    cluster.faults.add("/version", "401")

    (found,) = examine()

    assert (found.status, "with 401" in found.says) == ("fail", True)


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


def test_classes_that_may_not_be_seen_are_said_to_be_unseen(cluster: ClusterDouble, examine: Examine) -> None:
    cluster.faults.add("ingressclasses|runtimeclasses", "403", nth=0)

    found = wrong(examine(AIWORKER_KUBE_RUNTIME_CLASS="gvisor"))

    assert [status for status, _ in found] == ["warn", "warn"]
    assert "check that a default one exists" in found[0][1]
    assert "RuntimeClass gvisor can't be read" in found[1][1]


def test_a_runtime_class_that_is_not_there_is_named(examine: Examine) -> None:
    assert "there is no RuntimeClass kata; " in says(examine(AIWORKER_KUBE_RUNTIME_CLASS="kata"), "fail")


def test_an_ingress_that_does_not_answer_is_named(examine: Examine) -> None:
    found = wrong(examine(AIWORKER_KUBE_INGRESS_URL="http://127.0.0.1:9"))

    assert len(found) == 2
    assert all("no ingress answers at http://127.0.0.1:9 (ConnectionError)" in words for _, words in found)
    assert found[0][1].endswith("check AIWORKER_KUBE_INGRESS_URL, or AIWORKER_KUBE_HEALTH=readiness")


def test_hosts_without_an_address_are_named_each(examine: Examine) -> None:
    found = wrong(examine(AIWORKER_KUBE_INGRESS_URL="", AIWORKER_KUBE_DOMAIN="apps.invalid"))

    assert [words.partition(";")[0] for _, words in found] == [
        "aiworker-doctor.apps.invalid has no address",
        "aiworker-doctor.preview.apps.invalid has no address",
    ]
    assert "point *.preview.apps.invalid at the ingress" in found[1][1]


def test_hosts_may_lead_to_the_ingress_by_themselves(
    cluster: ClusterDouble, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A proxy stands for the DNS, which tests have none of.
    monkeypatch.setenv("http_proxy", cluster.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    assert wrong(examine(AIWORKER_KUBE_INGRESS_URL="")) == []


def test_an_ingress_whose_certificate_is_not_good_is_named(examine: Examine, self_signed_url: str) -> None:
    found = wrong(examine(AIWORKER_KUBE_INGRESS_URL=self_signed_url))

    assert "is not valid for aiworker-doctor.apps.test" in found[0][1]


def test_with_readiness_no_ingress_is_asked_for(cluster: ClusterDouble, examine: Examine) -> None:
    cluster.access.ingress_classes = []

    found = examine(AIWORKER_KUBE_HEALTH="readiness", AIWORKER_KUBE_INGRESS_URL="http://127.0.0.1:9")

    assert wrong(found) == []
    assert "ingress" not in says(found, "ok").lower()


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [
        ({"AIWORKER_FORGE": "local"}, "fail", "can't clone from the local forge; set AIWORKER_FORGE=gitea"),
        ({"GITEA_URL": "http://localhost:3000"}, "fail", "can't clone from GITEA_URL=http://localhost:3000"),
        ({"GITEA_URL": "http://10.1.2.3:3000"}, "warn", "forge: 10.1.2.3 is reached only if AIWORKER_KUBE_EGRESS"),
        ({"GITEA_URL": "http://10.1.2.3", "AIWORKER_KUBE_EGRESS": "10.1.0.0/16"}, "ok", "forge at 10.1.2.3"),
        ({"GITEA_URL": "http://1.1.1.1"}, "ok", "reach the forge at 1.1.1.1"),
        ({"GITEA_URL": "http://git.elsewhere.svc"}, "warn", "kubectl label namespace elsewhere "),
        ({"GITEA_URL": "http://git.nowhere.svc:3000"}, "warn", "this cluster has no namespace nowhere"),
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
        ({"AIWORKER_AGENTS_NAMESPACE": "Not_A_Name"}, "fail", "set AIWORKER_AGENTS_NAMESPACE to another name"),
        ({"AIWORKER_AGENTS_NAMESPACE": "platform"}, "fail", "platform exists and is not for these agents"),
        ({"AIWORKER_INTERNAL_URL": "http://1.1.1.1"}, "warn", "agents may not reach AiWorker: 1.1.1.1 is"),
        ({"GITEA_URL": "http://1.1.1.1"}, "warn", "agents may not reach the forge: 1.1.1.1 is"),
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


@pytest.mark.slow
def test_a_namespace_of_ours_is_the_agents(cluster: ClusterDouble, examine: Examine, tmp_path: Path) -> None:
    ours = {"app.kubernetes.io/managed-by": "aiworker", "app.kubernetes.io/instance": "aiw"}
    with_namespace(cluster, tmp_path, "aiw-agents", ours | RESTRICTED)
    with_namespace(cluster, tmp_path, "lax", ours)
    with_namespace(cluster, tmp_path, "a-project", ours | RESTRICTED | {"aiworker.dev/project-id": "1"})

    assert "the namespace aiw-agents belongs to this AiWorker" in says(examine(**AGENTS), "ok")
    found = examine(AIWORKER_AGENTS_NAMESPACE="a-project", **AGENTS)
    assert "a-project exists and is not for these agents" in says(found, "fail")
    found = examine(AIWORKER_AGENTS_NAMESPACE="lax", **AGENTS)
    assert "kubectl label namespace lax pod-security.kubernetes.io/enforce=restricted" in says(found, "fail")


def test_namespaces_that_may_not_be_seen_do_not_stop_the_rest(cluster: ClusterDouble, examine: Examine) -> None:
    cluster.faults.add("GET /api/v1/namespaces", "403", nth=0)

    found = examine(**AGENTS)

    unseen = "can't be read (get namespaces is not allowed)"
    assert [words for status, words in wrong(found) if status == "warn"] == [
        f"pods may not reach the forge: the namespace forge {unseen}",
        f"the namespace aiw-agents {unseen}",
        f"agents may not reach AiWorker: the namespace platform {unseen}",
        f"agents may not reach the forge: the namespace forge {unseen}",
    ]
    assert "the IngressClass nginx exists" in says(found, "ok")
