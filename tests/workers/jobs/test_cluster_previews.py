"""Previews keep to a quota of their own, and give way, oldest first, to tests that find no room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.models import Deployment, Task
from tests.workers.gitea_and_cluster import GiteaAndCluster, on_gitea_and_cluster
from tests.workers.platform import Platform

TESTS = "true # the project's tests"


@pytest.fixture
def small(
    plain_remote_platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GiteaAndCluster]:
    """There is room for two previews of a project."""
    folder = tmp_path / "small"
    with on_gitea_and_cluster(
        plain_remote_platform, monkeypatch, folder=folder, AIWORKER_KUBE_PREVIEWS="cpu=1"
    ) as made:
        yield made


@pytest.fixture
def slow(plain_remote_platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GiteaAndCluster]:
    """Its clock is slow enough for what waits there to be seen."""
    with on_gitea_and_cluster(plain_remote_platform, monkeypatch, folder=tmp_path / "slow", speed=20) as made:
        yield made


def _previews(plain: GiteaAndCluster) -> list[str]:
    """The titles of the tasks whose previews are live, oldest first."""
    live = plain.all(Deployment, Deployment.live_key.is_not(None), Deployment.environment_ == "preview")
    return [plain.get(Task, one.task_id).title for one in sorted(live, key=lambda one: (one.created_at, one.id))]


@pytest.mark.slow
def test_a_preview_more_than_fits_takes_the_place_of_the_oldest(small: GiteaAndCluster) -> None:
    project = small.project()
    for name in ("a", "b"):
        small.ready(project, name, {name: "hello\n"})
    assert _previews(small) == ["a", "b"]
    small.ready(project, "c", {"c": "hello\n"})

    assert _previews(small) == ["b", "c"]
    assert len(small.cluster.names("deployments", project.namespace)) == 2
    (gone,) = small.all(Task, Task.title == "a")
    assert (gone.state, gone.preview_url) == ("ready_to_test", None)
