"""Platforms of the tests of jobs, on SQLite alone: the catalogue and the story run every kind on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.elsewhere import Elsewhere, elsewhere
from tests.workers.platform import Platform


@pytest.fixture
def platform(plain_platform: Platform) -> Platform:
    return plain_platform


@pytest.fixture
def plain(plain_remote_platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    """Its repositories are on a Gitea server, and its apps, tests and agents run in a cluster."""
    with elsewhere(plain_remote_platform, monkeypatch, folder=tmp_path / "elsewhere") as made:
        yield made
