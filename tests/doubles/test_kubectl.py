"""The cluster double as the real kubectl sees it: what it applies, changes, runs in pods, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import need
from tests.doubles.kubernetes import ClusterDouble
from tests.doubles.kubernetes.node import SimulatedNode
from tests.doubles.kubernetes.streams import Running, started

Kubectl = Callable[..., subprocess.CompletedProcess[str]]


class HereShell:
    """Runs commands as if this machine were the pod."""

    def start(self, pod: dict[str, Any], container: str, command: Sequence[str], *, is_tty: bool) -> Running:
        return started(command, env={"PATH": os.environ["PATH"]}, where=Path("/"), is_tty=is_tty)


@pytest.fixture
def cluster() -> Iterator[ClusterDouble]:
    need("kubectl")
    with ClusterDouble(speed=20, node=SimulatedNode(), shell=HereShell()) as double:
        yield double


@pytest.fixture
def kubectl(cluster: ClusterDouble, tmp_path: Path) -> Iterator[Kubectl]:
    with cluster.secure_kubeconfig(tmp_path) as kubeconfig:
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": kubeconfig}

        def run(*words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                ["kubectl", *words], input=typed, env=env, capture_output=True, text=True, timeout=60, check=False
            )

        assert run("create", "namespace", "one").returncode == 0
        yield run


def deployment(*containers: str, replicas: int = 1, **more: Any) -> str:
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": name, "image": f"{name}:1"} for name in containers]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": {"a": "b"}}, "template": template, **more}
    about = {"name": "app", "namespace": "one"}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": about, "spec": spec})


def test_a_second_apply_takes_away_what_is_not_named_any_more(cluster: ClusterDouble, kubectl: Kubectl) -> None:
    assert kubectl("apply", "-f", "-", typed=deployment("web", "beside", minReadySeconds=3)).returncode == 0
    assert kubectl("-n", "one", "scale", "deploy/app", "--replicas=3").returncode == 0
    assert cluster.object("deployments", "one", "app")["spec"]["replicas"] == 3

    again = kubectl("apply", "-f", "-", typed=deployment("web"))

    assert again.stdout == "deployment.apps/app configured\n", again
    spec = cluster.object("deployments", "one", "app")["spec"]
    assert [one["name"] for one in spec["template"]["spec"]["containers"]] == ["web"]
    assert (spec["replicas"], spec.get("minReadySeconds")) == (1, None)
    assert kubectl("apply", "-f", "-", typed=deployment("web")).stdout == "deployment.apps/app unchanged\n"


def test_a_command_in_a_pod_reads_says_and_ends_as_it_does(kubectl: Kubectl) -> None:
    assert kubectl("apply", "-f", "-", typed=deployment("web")).returncode == 0
    assert kubectl("-n", "one", "rollout", "status", "deploy/app", "--timeout=30s").returncode == 0

    words = ("-n", "one", "exec", "-i", "deploy/app", "--", "sh", "-c")
    done = kubectl(*words, "cat; echo apart >&2; exit 7", typed="typed\n")

    assert (done.returncode, done.stdout) == (7, "typed\n")
    assert done.stderr.startswith("apart\n")
    large = kubectl(*words, "head -c 3000000 /dev/zero | tr '\\0' x")
    assert (large.returncode, len(large.stdout)) == (0, 3_000_000)
