"""Pictures of previews: taken once a preview answers, bound to its commit, on the pull request, voided by a push."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.jobs.catalogue import TAKE_PICTURES
from common.machine.programs.bubblewrap import SandboxFinding
from common.models import PreviewPicture, Project, Task
from common.providers.forge import forge, gitea_forge
from common.services.changes import preview_pictures
from common.settings import settings
from common.transaction import Transaction, transactional
from tests.doubles.gitea import GiteaDouble, basic
from tests.png import pixel
from tests.providers.git_work_tree import WorkTree, git
from tests.workers.jobs.test_train import approved
from tests.workers.platform import Platform
from workers.jobs import pictures
from workers.screenshots import screenshots

pytestmark = pytest.mark.slow

GREEN, RED = (0, 128, 0), (255, 0, 0)


def page(colour: str) -> dict[str, str | None]:
    return {"index.html": f"<!doctype html><style>html{{background:{colour}}}</style><p>{colour}\n"}


@pytest.fixture
def taking(whole_chromium_path: str, confining: SandboxFinding, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pictures are taken here."""
    monkeypatch.setenv("AIWORKER_CHROMIUM", whole_chromium_path)
    monkeypatch.setattr(screenshots, "MOST_SECONDS", 120.0)
    monkeypatch.setattr(screenshots, "LOAD_SECONDS", 60.0)
    settings.cache_clear()
    yield
    settings.cache_clear()


def rows(platform: Platform, task: Task) -> dict[str, PreviewPicture]:
    return {one.kind: one for one in platform.all(PreviewPicture, PreviewPicture.task_id == task.id)}


def colour(platform: Platform, task: Task, kind: str) -> Any:
    picture = rows(platform, task)[kind]
    content = preview_pictures.read_picture(task.id, picture.id, by=platform.max).content
    assert picture.size_bytes == len(content)
    return pixel(content, 1000, 700)


class OnGitea(Platform):
    """The platform with its repositories on a Gitea server, where it clones as the administrator."""

    def __init__(self, platform: Platform, server: GiteaDouble) -> None:
        vars(self).update(vars(platform))
        self.server = server

    def clone(self, project: Project) -> WorkTree:
        self._clones += 1
        user = self.server.admin
        address = basic(forge().read_clone_url(self.repository(project.id)), user.login, user.password)
        return WorkTree(self.folder / f"clone-{self._clones}", address)

    def shown(self, project: Project) -> list[tuple[str, list[bytes]]]:
        """The comments of the only pull request: text, and the files that it shows."""
        repo = self.server.repo(project.repository_owner, project.slug)
        links = [(one["body"], re.findall(r"!\[\w+\]\((\S+)\)", one["body"])) for one in repo.comments]
        return [(body, [repo.files[link] for link in found]) for body, found in links]


@pytest.fixture
def on_gitea(taking: None, platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnGitea]:
    server = GiteaDouble(tmp_path)
    for name, value in {"AIWORKER_FORGE": "gitea", "GITEA_URL": server.url, "GITEA_TOKEN": server.token}.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    gitea_forge.cache_clear()
    yield OnGitea(platform, server)
    gitea_forge().close()
    gitea_forge.cache_clear()
    server.close()
    assert server.violations == []


def test_the_pull_request_shows_the_pictures_of_its_commit_alone(on_gitea: OnGitea) -> None:
    project = on_gitea.project(page("red"))
    task = on_gitea.ready(project, "Green", page("green"))

    ((body, (content,)),) = on_gitea.shown(project)
    assert (task.head_sha or "?")[:12] in body
    assert pixel(content, 1000, 700) == GREEN
    _ring(task)
    on_gitea.run_jobs()
    assert len(on_gitea.shown(project)) == 1

    tree = on_gitea.clone(project)
    git("checkout", "--quiet", "-B", task.branch_name, f"origin/{task.branch_name}", at=tree.path)
    tree.commit({"late": "x"}, on=task.branch_name)
    tree.push(task.branch_name)
    on_gitea.poll_repository(project)
    assert on_gitea.shown(project) == []

    on_gitea.work(task, page("red"))
    ((body, (content,)),) = on_gitea.shown(project)
    assert on_gitea.get(Task, task.id).head_sha[:12] in body
    assert pixel(content, 1000, 700) == RED
    # What the platform says of its own is no remark for the agent.
    assert on_gitea.get(Task, task.id).state == "ready_to_test"


@transactional
def _ring(tx: Transaction, task: Task) -> str:
    return tx.enqueue(TAKE_PICTURES, task.id, project_id=task.project_id)


def test_a_preview_is_pictured_beside_production(taking: None, platform: Platform) -> None:
    project = platform.project(page("red"))
    platform.to_production(platform.staged(*approved(platform, project, {"other.txt": "x"})))

    task = platform.ready(project, "Green", page("green"))

    found = rows(platform, task)
    assert {kind: (one.commit_sha, one.width, one.height, one.problem) for kind, one in found.items()} == dict.fromkeys(
        ("before", "after"), (task.head_sha, 1280, 800, None)
    )
    assert (colour(platform, task, "after"), colour(platform, task, "before")) == (GREEN, RED)
    assert found["after"].pictured_sha == task.head_sha != found["before"].pictured_sha


def test_no_browser_starts_unconfined(taking: None, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pictures.find_browser() is not None
    monkeypatch.setenv("AIWORKER_SANDBOX", "off")
    settings.cache_clear()
    assert pictures.find_browser() is None


@transactional
def _age(tx: Transaction, picture_id: str) -> None:
    row = tx.get(PreviewPicture, picture_id)
    row.taken_at = row.taken_at.replace(year=2020)


def test_old_pictures_are_deleted(taking: None, platform: Platform) -> None:
    task = platform.ready(platform.project(), "Green", page("green"))
    assert preview_pictures.purge_pictures() == 0

    _age(rows(platform, task)["after"].id)

    assert preview_pictures.purge_pictures() == 1
    assert rows(platform, task) == {}


@transactional
def _age(tx: Transaction, picture_id: str) -> None:
    row = tx.get(PreviewPicture, picture_id)
    row.taken_at = row.taken_at.replace(year=2020)
