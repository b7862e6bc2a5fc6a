"""The doctor as a whole: on a well installation, on one whose parts hang, and on what it sees of this machine."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from common.settings import settings
from common.values.finding import Finding
from tests.doubles.gitea import Fault, GiteaDouble
from tests.doubles.kubernetes import ClusterDouble
from tests.web.world import forget_providers
from web.doctor.checks import examine, run_within
from web.doctor.flower import examine_flower

LISTEN = """
import socket, sys
with socket.socket() as heard:
    heard.bind((sys.argv[1], 0))
    heard.listen()
    print(heard.getsockname()[1], flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def cluster() -> Iterator[ClusterDouble]:
    with ClusterDouble() as double:
        yield double


@pytest.fixture
def gitea(tmp_path: Path) -> Iterator[GiteaDouble]:
    double = GiteaDouble(tmp_path)
    yield double
    double.close()


@pytest.fixture
def on_a_cluster(
    plain_app: Flask, cluster: ClusterDouble, gitea: GiteaDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """An instance whose forge and runtime are the doubles."""
    for name, value in {
        "AIWORKER_FORGE": "gitea",
        "GITEA_URL": gitea.url,
        "GITEA_TOKEN": gitea.token,
        "AIWORKER_WEBHOOK_URL": "https://aiworker.invalid/api/webhooks/gitea",
        "AIWORKER_RUNTIME": "kubernetes",
        "AIWORKER_KUBE_DOMAIN": "apps.test",
        "AIWORKER_KUBE_IMAGE": "registry.test/aiworker:1",
        "AIWORKER_KUBE_INGRESS_URL": cluster.url,
        "KUBECONFIG": cluster.kubeconfig(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    forget_providers()
    yield
    forget_providers()


def wrong(findings: list[Finding]) -> dict[str, list[str]]:
    """What is not ok, by part."""
    found: dict[str, list[str]] = {}
    for one in findings:
        if one.status != "ok":
            found.setdefault(one.part, []).append(f"{one.status}: {one.says}")
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("on_a_cluster")
def test_a_cluster_and_a_gitea_are_examined_each(cluster: ClusterDouble, gitea: GiteaDouble) -> None:
    found = list(examine())

    parts = [one.part for one in found if one.status == "ok"]
    assert parts.count("forge") == 7
    assert parts.count("runtime") == 5
    seen = wrong(found)
    # The doubles are at this machine's own address, from where no pod could clone.
    (clone, policies, registries) = seen.pop("runtime")
    assert "fail: pods can't clone from GITEA_URL=" in clone
    assert "NetworkPolicies" in policies
    assert "AIWORKER_EGRESS_PROXY" in registries
    # The platform does not run, and has no data yet; this Redis keeps nothing.
    assert set(seen) <= {"web", "redis", "disk", "data"}
    assert not gitea.effects
    assert cluster.sent == []


@pytest.mark.usefixtures("on_a_cluster")
def test_what_does_not_answer_does_not_stop_the_rest(cluster: ClusterDouble, gitea: GiteaDouble) -> None:
    # A read that fails is asked for again.
    gitea.faults.extend(Fault("/version", "500") for _ in range(3))
    cluster.faults.add("", "500", nth=0)

    found = list(examine())

    seen = wrong(found)
    assert "GET /version was answered with 500" in seen["forge"][0]
    assert "GET /version with 500" in seen["runtime"][-1]
    assert found[-1].part == "web"


def test_a_part_that_hangs_is_given_up() -> None:
    is_over = threading.Event()

    def hang() -> Iterator[Finding]:
        yield Finding("ok", "runtime", "the beginning")
        is_over.wait(60)

    found = list(run_within(2, "runtime", hang))
    is_over.set()

    assert [one.status for one in found] == ["ok", "fail"]
    assert found[1].says.startswith("no answer within 2 s")


@pytest.mark.parametrize(
    ("host", "status", "words"),
    [("127.0.0.1", "ok", "reachable from this machine only"), ("0.0.0.0", "fail", "start it with --address=127.0.0.1")],
)
def test_a_flower_that_is_open_to_others_is_named(tmp_path: Path, host: str, status: str, words: str) -> None:
    # What stands for it only listens: the doctor knows it by its command line and its data directory.
    argv = [sys.executable, "-c", LISTEN, host, "-m", "celery", "--app", "workers", "flower"]
    environment = {"AIWORKER_DATA_DIR": str(tmp_path)}
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        port = process.stdout.readline().strip()

        (found,) = examine_flower(tmp_path)
        elsewhere = list(examine_flower(tmp_path / "another"))
        process.stdin.close()

    assert found.status == status
    assert found.says.startswith(f"listens on {host}:{port}, ")
    assert words in found.says
    assert elsewhere == []
