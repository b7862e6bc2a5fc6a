"""Choosing a repository of the platform's Gitea to import, over the API and on the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.providers.forge import gitea_forge
from common.values.states import Role
from tests.doubles.gitea import GiteaDouble
from tests.providers.git_work_tree import git
from tests.web.conftest import AppOn
from tests.web.world import World

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GiteaDouble]:
    """The platform's forge, with three repositories of people and one of a project."""
    double = GiteaDouble(tmp_path)
    for name, value in {"AIWORKER_FORGE": "gitea", "GITEA_URL": double.url, "GITEA_TOKEN": double.token}.items():
        monkeypatch.setenv(name, value)
    gitea_forge.cache_clear()
    for name, description in (("tea", "A tea house"), ("coffee", ""), ("toys", "(AiWorker project x)")):
        fields = {"description": description, "default_branch": "trunk", "private": name == "tea"}
        repo = double.model.add_repo("ada", name, fields)
        commit = git("commit-tree", "-m", "Open", EMPTY_TREE, at=repo.path)
        git("update-ref", "refs/heads/trunk", commit, at=repo.path)
    yield double
    gitea_forge().close()
    gitea_forge.cache_clear()
    double.close()
    assert double.violations == []


@pytest.fixture
def world(server: GiteaDouble, app_on: AppOn, sqlite_database_url: str) -> World:
    return World(app_on(sqlite_database_url))


def test_an_administrator_is_shown_what_is_no_projects(world: World, server: GiteaDouble) -> None:
    ada = world.client_of("ada", Role.ADMIN)

    reply = ada.get("/api/forge/repositories?q=TE")

    assert reply.status_code == 200, reply.json
    tea = {
        "name": "ada/tea", "description": "A tea house", "url": f"{server.url}/ada/tea.git", "defaultBranch": "trunk",
        "private": True,
    }  # fmt: skip
    assert reply.json == {"repositories": [tea], "nextPage": None, "reason": None}
    names = [one["name"] for one in ada.get("/api/forge/repositories").json["repositories"]]
    assert names == ["ada/coffee", "ada/tea"]
    for query, field in (("page=0", "page"), ("page=x", "page"), ("q=" + "x" * 101, "q"), ("limit=5", "limit")):
        wrong = ada.get(f"/api/forge/repositories?{query}")
        assert (wrong.status_code, wrong.json["details"]["field"]) == (400, field)


def test_others_neither_see_nor_import_them(world: World, server: GiteaDouble) -> None:
    body = {"name": "Tea", "importUrl": f"{server.url}/ada/tea.git"}

    assert world.client.get("/api/forge/repositories").status_code == 403
    refused = world.client.post("/api/projects", json=body)
    assert (refused.status_code, refused.json["details"]["field"]) == (400, "importUrl")
    assert "Only an administrator" in refused.json["details"]["message"]
    assert world.client.get("/api/projects").json["total"] == 0
    assert world.client_of("ada", Role.ADMIN).post("/api/projects", json=body).status_code == 201
