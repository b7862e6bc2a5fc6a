"""Platforms of the tests of jobs, on SQLite alone: the catalogue and the story run every kind on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.gitea_and_cluster import GiteaAndCluster, on_gitea_and_cluster
from tests.workers.platform import Platform


@pytest.fixture
def platform(plain_platform: Platform) -> Platform:
    return plain_platform


@pytest.fixture
def plain(
    plain_remote_platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GiteaAndCluster]:
    """Its repositories are on a Gitea server, and its apps, tests and agents run in a cluster."""
    with on_gitea_and_cluster(plain_remote_platform, monkeypatch, folder=tmp_path / "remote") as made:
        yield made
