"""Importing from the Gitea server that the platform's forge is on: what is offered, and who may read what."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.providers.forge.gitea import GiteaForge
from common.values.repository import Repository
from tests.doubles.gitea import GiteaDouble, basic
from tests.providers.forge_contract import refused
from tests.providers.git_work_tree import git
from tests.providers.gitea_fixtures import SHOP, forge, head, server

pytestmark = pytest.mark.slow

__all__ = ["forge", "head", "server"]

COPY = Repository("aiworker", "tea", "project-2")


@pytest.fixture
def tea(server: GiteaDouble, tmp_path: Path) -> str:
    """The address of a private repository of a person, with a branch beside the default one."""
    server.model.add_repo("ada", "tea.house", {"description": "Tea", "default_branch": "trunk", "private": True})
    server.model.add_repo("ada", "tea-empty", {"description": "", "default_branch": "main", "private": False})
    ada = server.person("ada", writes=("ada", "tea.house"))
    url = f"{server.url}/ada/tea.house.git"
    folder = tmp_path / "tea"
    git("init", "--quiet", "--initial-branch=trunk", str(folder))
    git("remote", "add", "origin", basic(url, ada.login, ada.password), at=folder)
    (folder / "menu.txt").write_text("green\n")
    git("add", ".", at=folder)
    git("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "--quiet", "-m", "Open", at=folder)
    git("push", "--quiet", "origin", "trunk", "trunk:refs/heads/winter", at=folder)
    return url


def test_repositories_that_are_no_projects_are_offered(forge: GiteaForge, head: str, tea: str) -> None:
    found = forge.read_importable("", page=1)

    assert found is not None
    (offer,) = found.offers
    assert (offer.name, offer.url, offer.description) == ("ada/tea.house", tea, "Tea")
    assert (offer.default_branch, offer.is_private) == ("trunk", True)
    assert found.next_page is None
    beyond = forge.read_importable("", page=2)
    assert beyond is not None
    assert (beyond.offers, beyond.next_page) == ((), None)
    for q, names in (("TEA.h", ["ada/tea.house"]), ("coffee", []), ("shop", [])):
        named = forge.read_importable(q, page=1)
        assert named is not None
        assert [offer.name for offer in named.offers] == names


def test_a_private_repository_is_copied_whole_and_stays_as_it_is(
    forge: GiteaForge, tea: str, server: GiteaDouble
) -> None:
    before = server.model.repos["ada", "tea.house"].refs()

    state = forge.ensure_repository(COPY, default_branch="main", description="", import_url=tea)

    assert state.default_branch == "trunk"
    assert forge.read_file(COPY, commit=state.default_head, path="menu.txt") == b"green\n"
    assert forge.read_head(COPY, "winter") == state.default_head == before["refs/heads/trunk"]
    assert server.model.repos["ada", "tea.house"].refs() == before
    assert server.model.repos["ada", "tea.house"].fields["description"] == "Tea"


@pytest.mark.parametrize("path", ["aiworker/shop.git", "ada/../aiworker/shop"])
def test_a_projects_repository_and_what_is_none_are_not_imported(
    forge: GiteaForge, head: str, tea: str, server: GiteaDouble, path: str
) -> None:
    with refused("import_failed"):
        forge.ensure_repository(COPY, default_branch="main", description="", import_url=f"{server.url}/{path}")

    assert forge.read_head(SHOP, "main") == head
