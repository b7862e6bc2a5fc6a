"""The whole story with the repositories on a Gitea server and everything that runs in a cluster: both are doubles, but
the code is in real repositories, and versions and checks are real processes of the cluster's node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.doubles.gitea import GiteaDouble
from tests.doubles.gitea.model import Repo
from tests.doubles.kubernetes import ClusterDouble
from tests.doubles.kubernetes.node import ProcessNode
from tests.doubles.settings import settings_of
from tests.e2e.instance import running, wait_until
from tests.e2e.origin import served_repository
from tests.e2e.remote_story import Places, RemoteStory, tell_short_story
from tests.ports import free_port

pytestmark = pytest.mark.timeout(1200)

SPEED = 6
"""A pod of the cluster is given four minutes to be healthy, and five to be an agent: forty seconds of ours, which real
processes on a busy machine need."""
HEALTH_SECONDS = {"preview": 0, "staging": 20, "production": 20}
"""Of the cluster's clock: three of ours, longer than the bad release does well."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GiteaDouble]:
    folder = tmp_path / "gitea"
    folder.mkdir()
    double = GiteaDouble(folder)
    yield double
    double.close()
    assert double.violations == []


@pytest.fixture
def cluster() -> Iterator[ClusterDouble]:
    with ClusterDouble(speed=SPEED, node=ProcessNode()) as double:
        yield double


def environ(server: GiteaDouble, cluster: ClusterDouble, folder: Path) -> dict[str, str]:
    """Of an instance whose agents are pods of the cluster too."""
    port = free_port()
    return {
        "AIWORKER_PORT": str(port),
        "AIWORKER_AGENTS": "0",
        "AIWORKER_AGENTS_MAX": "2",
        # This machine, by a name that a pod on another one might use: here all of them are on one.
        "AIWORKER_INTERNAL_URL": f"http://127.1:{port}",
        **settings_of(server, cluster, folder),
    }


@pytest.mark.slow
def test_the_story_holds_on_gitea_and_kubernetes(tmp_path: Path, server: GiteaDouble, cluster: ClusterDouble) -> None:
    with (
        served_repository(tmp_path) as origin,
        running(
            tmp_path, AIWORKER_IMPORT_ALLOW=urlsplit(origin).netloc, **environ(server, cluster, tmp_path)
        ) as instance,
    ):
        places = Places((server.url, server.admin.login, server.token), cluster.url, health_seconds=HEALTH_SECONDS)
        story = RemoteStory(instance, origin, places)
        try:
            tell_short_story(story)
            repo = server.repo("aiworker", "greeter")
            _forge_is_in_order(server, repo)
            _cluster_is_in_order(cluster)
            _agents_were_pods(story, cluster)
            story.delete_project()
        except AssertionError as error:
            raise AssertionError(f"{error}\n\n{instance.said()}") from error
        finally:
            story.close()
        assert server.model.repos == {}
        assert [user for user in server.model.users if user.startswith("aiw-run-")] == []
        wait_until("the project's namespace to be gone", lambda: cluster.names("namespaces") == ["aiw-agents"])
        assert instance.stop() == 0


def _forge_is_in_order(server: GiteaDouble, repo: Repo) -> None:
    wait_until(
        "the users of runs to be gone", lambda: not [user for user in server.model.users if user.startswith("aiw-run-")]
    )
    assert sorted(repo.rules) == ["main", "release", "release/**", "staging", "staging/**"]
    pulls = {pull["title"]: (pull["state"], pull["merged"]) for pull in repo.pulls.values()}
    assert pulls == {
        "Greet in Spanish": ("closed", True),
        "Be formal": ("closed", True),
    }
    assert len([ref for ref in repo.refs() if ref.startswith("refs/tags/")]) == 2
    proven = {status["sha"] for status in repo.statuses if status["status"] == "success"}
    heads = {repo.refs()[f"refs/pull/{number}/head"] for number in repo.pulls}
    assert heads <= proven


def _cluster_is_in_order(cluster: ClusterDouble) -> None:
    wait_until("previews to be gone", lambda: cluster.names("deployments") == ["production", "staging"])
    assert cluster.names("ingresses") == ["production", "staging"]
    assert cluster.names("jobs") == []


def _agents_were_pods(story: RemoteStory, cluster: ClusterDouble) -> None:
    """One for each run, none of which is left."""
    wait_until("agents to be gone", lambda: cluster.names("pods", "aiw-agents") == [])
    wait_until("their secrets to be gone", lambda: cluster.names("secrets", "aiw-agents") == [])

    def statuses() -> set[str]:
        return {agent["status"] for agent in story.api.get("/agents?limit=100")["agents"]}

    wait_until("it to be noted", lambda: statuses() == {"offline"})
    made = [one["metadata"]["name"] for one in cluster.sent if one["kind"] == "Pod"]
    agents = story.api.get("/agents?limit=100")["agents"]
    assert sorted(agent["podName"] for agent in agents) == sorted(made)
    assert len(made) >= 3
