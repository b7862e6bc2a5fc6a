"""The whole story on a started product, its repositories on the real Gitea and what runs in the real cluster.

Either may be missing: then versions run as processes of this machine, or the repositories lie on the Gitea double. (The
local forge's repositories have no address that a pod could clone from, so the runtime refuses it; the double's address
is of loopback, so there only simulated nodes get on.) Nothing is needed of the cluster but that pods become ready and
Jobs end: what a page says is read only where AIWORKER_KUBE_HEALTH=http says that there is an ingress and that programs
really run. Everything has names of its own, and is removed whatever happened.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from common.providers.forge.gitea.client import Client
from common.providers.forge.gitea.credentials import PREFIX, username_of
from common.providers.runtime import places
from common.providers.runtime.kube import Cluster, connect
from tests.doubles.gitea import GiteaDouble
from tests.e2e.elsewhere import Places, StoryElsewhere, tell_shortly
from tests.e2e.instance import running, wait_until
from tests.e2e.origin import served_repository

pytestmark = pytest.mark.timeout(1800)

KUBECONFIG = os.environ.get("KUBECONFIG")
IMAGE = os.environ.get("AIWORKER_TEST_IMAGE", "python:3.13-slim")
GONE_SECONDS = 300


@dataclass(frozen=True)
class Names:
    """What nobody else has: the organisation at the forge, the instance in the cluster, the project."""

    owner: str
    instance: str
    project: str


@dataclass(frozen=True)
class Server:
    client: Client
    token: str


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
        client = opened.enter_context(contextlib.closing(Client(url, token)))
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
    for namespace in _namespaces(connected, names):
        connected.delete(places.path("namespaces", namespace))
    connected.close()


def _namespaces(cluster: Cluster, names: Names) -> list[str]:
    found = cluster.items(places.path("namespaces"), labels=places.ours(names.instance))
    return [one["metadata"]["name"] for one in found]


def _environ(forge: Server, names: Names) -> dict[str, str]:
    chosen = {
        "AIWORKER_INSTANCE": names.instance,
        "AIWORKER_FORGE": "gitea",
        "AIWORKER_FORGE_OWNER": names.owner,
        "GITEA_URL": forge.client.url,
        "GITEA_TOKEN": forge.token,
    }
    if KUBECONFIG:
        chosen |= {
            "AIWORKER_RUNTIME": "kubernetes",
            "KUBECONFIG": os.pathsep.join(os.path.abspath(path) for path in KUBECONFIG.split(os.pathsep)),
            "AIWORKER_KUBE_DOMAIN": "apps.test",
            "AIWORKER_KUBE_IMAGE": IMAGE,
            "AIWORKER_KUBE_HEALTH": "readiness",
        } | {name: value for name, value in os.environ.items() if name.startswith("AIWORKER_KUBE_")}
    return chosen


def _places(forge: Server, names: Names, environ: dict[str, str]) -> Places:
    account = forge.client.get("/user").body
    return Places(
        gitea=(forge.client.url, account["login"], forge.token),
        ingress_url=environ.get("AIWORKER_KUBE_INGRESS_URL"),
        has_bodies=environ.get("AIWORKER_KUBE_HEALTH", "http") == "http",
        name=names.project,
    )


def _users_of_runs(forge: Server, story: StoryElsewhere) -> list[str]:
    """The users on the server that were made for runs of this instance; others may use the server too."""
    known = story.run_ids()
    return [user["login"] for user in forge.client.pages("/admin/users") if user["login"] in map(username_of, known)]


def test_the_story_holds(tmp_path: Path, names: Names, forge: Server, cluster: Cluster | None) -> None:
    environ = _environ(forge, names)
    with (
        served_repository(tmp_path) as origin,
        running(tmp_path, AIWORKER_IMPORT_ALLOW=urlsplit(origin).netloc, **environ) as instance,
    ):
        story = StoryElsewhere(instance, origin, _places(forge, names, environ))
        try:
            tell_shortly(story)
            wait_until("the users of runs to be gone", lambda: _users_of_runs(forge, story) == [])
        except AssertionError as error:
            raise AssertionError(f"{error}\n\n{instance.said()}") from error
        finally:
            if story.project:
                story.delete_project()
            story.close()
        assert forge.client.get(f"/orgs/{names.owner}/repos").body == []
        if cluster is not None:
            wait_until("the namespace to be gone", lambda: _namespaces(cluster, names) == [], GONE_SECONDS)
        assert instance.stop() == 0
