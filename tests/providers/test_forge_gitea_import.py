"""Importing from the Gitea server that the platform's forge is on: what is offered, and who may read what."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from common.providers.forge.gitea import GiteaForge
from common.values.repository import Repository
from tests.doubles.gitea import GiteaDouble, basic
from tests.providers.forge_contract import refused
from tests.providers.git_tree import git
from tests.providers.gitea_shop import SHOP, forge, head, server

pytestmark = pytest.mark.slow

__all__ = ["forge", "head", "server"]

COPY = Repository("aiworker", "tea", "project-2")

_KILLED_IMPORT = """
import os, signal, sys
from pathlib import Path
from common.providers.forge.gitea import GiteaForge
from common.providers.forge.gitea.mirror import Mirror
from common.values.repository import Repository
server, token, folder, source = sys.argv[1:]
Mirror.publish = lambda self, source: os.kill(os.getpid(), signal.SIGKILL)
forge = GiteaForge(server, token, mirrors=Path(folder), webhook_url="http://x", webhook_secret="s", import_allow=())
forge.ensure_repository(Repository("aiworker", "tea", "project-2"), default_branch="main", description="",
                        import_url=source)
"""


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


def test_pages_go_on_where_the_server_shortens_them(
    forge: GiteaForge, head: str, tea: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.doubles.gitea.api._PAGE", 1)
    names: list[str] = []
    page: int | None = 1
    while page is not None:
        found = forge.read_importable("", page=page)
        assert found is not None
        names += [offer.name for offer in found.offers]
        page = found.next_page
    assert names == ["ada/tea.house"]


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


def test_what_a_killed_import_left_is_removed_by_the_next(
    forge: GiteaForge, tea: str, server: GiteaDouble, tmp_path: Path
) -> None:
    mirrors = tmp_path / "mirrors"
    arguments = (server.url, server.token, str(mirrors), tea)
    killed = subprocess.run([sys.executable, "-c", _KILLED_IMPORT, *arguments], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list(mirrors.rglob("tea.git"))

    forge.ensure_repository(COPY, default_branch="main", description="", import_url=tea)

    assert list(mirrors.rglob("tea.git")) == []


def test_branches_in_the_place_of_the_platforms_get_other_names(
    forge: GiteaForge, tea: str, server: GiteaDouble, tmp_path: Path
) -> None:
    git("push", "--quiet", "origin", "trunk:refs/heads/staging", "trunk:refs/heads/release", at=tmp_path / "tea")

    state = forge.ensure_repository(COPY, default_branch="main", description="", import_url=tea)

    names = ("staging", "release", "imported/staging", "imported/release")
    assert [forge.read_head(COPY, name) for name in names] == [None, None, state.default_head, state.default_head]
    forge.advance(COPY, "release/2-0", old=None, new=state.default_head, force=True)


@pytest.mark.parametrize(
    "path", ["aiworker/shop.git", "ada/nothing.git", "ada/../aiworker/shop", "ada", "ada/tea.house?x=1"]
)
def test_a_projects_repository_and_what_is_none_are_not_imported(
    forge: GiteaForge, head: str, tea: str, server: GiteaDouble, path: str
) -> None:
    with refused("import_failed"):
        forge.ensure_repository(COPY, default_branch="main", description="", import_url=f"{server.url}/{path}")

    assert forge.read_head(SHOP, "main") == head
