"""What is there to test against: a file without its server is not collected, so that nothing is left out silently."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.providers.forge.gitea.client import Client
from common.providers.forge.gitea.run_users import PREFIX
from common.providers.runtime.cluster.client import Cluster, connect
from common.providers.runtime.cluster_objects import names as places
from tests.doubles.gitea import GiteaDouble
from tests.real.patience import Patient
from tests.real.servers import KUBECONFIG, Names, Server, namespaces_of

_IS_ASKED = os.environ.get("AIWORKER_TEST_REAL") == "1"
_HAS_GITEA = bool(os.environ.get("GITEA_URL") and os.environ.get("GITEA_TOKEN"))
_HAS_CLUSTER = bool(os.environ.get("KUBECONFIG"))
_NEEDS = {
    "test_forge_gitea.py": _HAS_GITEA,
    "test_runtime_kube.py": _HAS_CLUSTER,
    "test_fleet_kube.py": _HAS_CLUSTER,
    "test_story.py": _HAS_GITEA or _HAS_CLUSTER,
}

if _IS_ASKED:
    # Nodes that kwok simulates have this taint, if they were made as its documentation says; no others have.
    os.environ.setdefault("AIWORKER_KUBE_TOLERATIONS", "kwok.x-k8s.io/node")

collect_ignore = [file for file, is_there in _NEEDS.items() if not (_IS_ASKED and is_there)]


@pytest.fixture
def names() -> Names:
    mark = secrets.token_hex(4)
    return Names(f"aiw-test-{mark}", f"real-{mark}", f"aiwtest-{mark}")


@pytest.fixture
def forge(tmp_path: Path, names: Names) -> Iterator[Server]:
    """The Gitea that is named, else the double; nothing of ours is left there."""
    with contextlib.ExitStack() as opened:
        url, token = os.environ.get("GITEA_URL"), os.environ.get("GITEA_TOKEN")
        if not url or not token:
            (tmp_path / "gitea").mkdir()
            double = opened.enter_context(contextlib.closing(GiteaDouble(tmp_path / "gitea")))
            url, token = double.url, double.token
        client: Any = Patient(opened.enter_context(contextlib.closing(Client(url, token))))
        yield Server(client, token)
        left = client.get(f"/orgs/{names.owner}/repos", accept=(404,))
        for repo in left.body if left.is_there else []:
            path = f"/repos/{names.owner}/{repo['name']}"
            for user in client.pages(f"{path}/collaborators"):
                if user["login"].startswith(PREFIX):
                    client.call("DELETE", f"/admin/users/{user['login']}", accept=(404,))
            client.call("DELETE", path, accept=(404,))
        client.call("DELETE", f"/orgs/{names.owner}", accept=(404,))


@pytest.fixture
def cluster(names: Names) -> Iterator[Cluster | None]:
    """The cluster that is named; nothing of ours is left there."""
    if not KUBECONFIG:
        yield None
        return
    connected = connect(KUBECONFIG)
    yield connected
    for namespace in namespaces_of(connected, names):
        connected.delete(places.path("namespaces", namespace))
    connected.close()
