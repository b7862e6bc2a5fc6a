"""The forge on a Gitea double that can fail, with one repository. A test module imports the fixtures that it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import ProviderUnavailable
from common.providers.forge.gitea import GiteaForge
from common.values.repository import Repository
from tests.doubles.gitea import GiteaDouble, basic
from tests.providers.git_work_tree import WorkTree

SHOP = Repository("aiworker", "shop", "project-1")


def forge_on(server: GiteaDouble, folder: Path, seconds: float = 10) -> GiteaForge:
    return GiteaForge(
        server.url, server.token, mirrors=folder / "mirrors", webhook_url="http://x.example.org/hook",
        webhook_secret="secret", import_allow=("127.0.0.1",), timeout=(3, seconds),
    )  # fmt: skip


def make(forge: GiteaForge) -> str:
    state = forge.ensure_repository(SHOP, default_branch="main", description="A shop", import_url=None)
    return state.default_head


def pushed(work: WorkTree, on: str = "task-1") -> str:
    commit = work.commit({"a": "a"}, on=on)
    work.push(on)
    return commit


def again(act: Callable[[], Any]) -> Any:
    """What a job does: the same call once more after one that may or may not have had its effect."""
    with pytest.raises(ProviderUnavailable):
        act()
    return act()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GiteaDouble]:
    double = GiteaDouble(tmp_path)
    yield double
    double.close()
    assert double.violations == []


@pytest.fixture
def forge(server: GiteaDouble, tmp_path: Path) -> Iterator[GiteaForge]:
    forge = forge_on(server, tmp_path)
    yield forge
    forge.close()


@pytest.fixture
def head(forge: GiteaForge) -> str:
    """The repository is there; the head of its main branch."""
    return make(forge)


@pytest.fixture
def work(server: GiteaDouble, forge: GiteaForge, head: str, tmp_path: Path) -> WorkTree:
    person = server.person("ada", writes=("aiworker", "shop"))
    return WorkTree(tmp_path / "work", basic(forge.read_clone_url(SHOP), person.login, person.password))
