"""Real git against the real app: who may clone and push what, and what a push sets going."""

from __future__ import annotations

import base64
import contextlib
import http.client
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy import select

from common.jobs import catalogue
from common.models.journal import Job
from common.models.project import Project, Push
from common.models.run import Run
from common.providers.forge import local_forge
from common.services.agent_api import steering
from common.services.projects.projects import put_member
from common.transaction import snapshot
from common.values.repository import Repository
from common.values.states import Role, TaskState
from tests import builders
from tests.app_server import served
from tests.e2e.instance import wait_until
from tests.providers.git_work_tree import WorkTree, git
from tests.web.factories import a_live_run, a_project, a_task, end, set_state, somebody
from tests.web.world import put


class Shop:
    """A project with its repository, and the server that gives it out."""

    def __init__(self, port: int, project: Project) -> None:
        self.port, self.project = port, project
        self.where = Repository(project.repository_owner, project.slug, project.id)
        local_forge().ensure_repository(self.where, default_branch="main", description="", import_url=None)

    def url(self, password: str | None, username: str = "anyone", name: str = "shop.git") -> str:
        login = "" if password is None else f"{username}:{quote(password)}@"
        return f"http://{login}127.0.0.1:{self.port}/git/aiworker/{name}"

    def head(self, branch: str) -> str | None:
        return local_forge().read_head(self.where, branch)

    def noted_commits(self) -> list[str]:
        """The commits of the pushes that were noted."""
        with snapshot() as read:
            return list(read.session.scalars(select(Push.new_sha)))

    def watch_jobs(self) -> int:
        """How often the project was to be looked at."""
        query = select(Job).where(Job.kind == catalogue.WATCH_REPOSITORY.name, Job.subject_id == self.project.id)
        with snapshot() as read:
            return sum(job.generation for job in read.all(query))


@contextlib.contextmanager
def served_app(app: Flask) -> Iterator[int]:
    """The port on which the app answers, its forge on this test's data."""
    local_forge.cache_clear()
    try:
        with served(app) as port:
            yield port
    finally:
        local_forge.cache_clear()


@pytest.fixture
def shop(plain_app: Flask) -> Iterator[Shop]:
    with served_app(plain_app) as port:
        yield Shop(port, a_project())


def _token(username: str, role: Role) -> str:
    return builders.a_token(builders.a_user(username, role))


def _refused(url: str, *arguments: str, at: Path | None = None) -> str:
    """What git says when it is refused."""
    return git(*arguments, url, at=at, accept=(128,))


@pytest.mark.slow
def test_a_viewer_clones_and_does_not_push(shop: Shop, tmp_path: Path) -> None:
    url = shop.url(_token("vic", Role.VIEWER))
    tree = WorkTree(tmp_path / "tree", url)
    tree.commit({"a.txt": "x"}, on="main")

    said = tree.push("main", accept=(128,))

    assert "403" in said
    assert git("ls-remote", url.replace("shop.git", "shop"), "refs/heads/main").startswith(shop.head("main") or "-")
    assert shop.watch_jobs() == 0


def test_a_member_does_not_push_and_a_maintainer_does(shop: Shop, tmp_path: Path) -> None:
    tree = WorkTree(tmp_path / "tree", shop.url(_token("mia", Role.MEMBER)))
    pushed = tree.commit({"a.txt": "x"}, on="feature")
    assert "403" in tree.push("feature", accept=(128,))

    tree.push("feature", to=shop.url(_token("max", Role.MAINTAINER)))

    assert shop.head("feature") == pushed


@pytest.mark.parametrize("branch", ["staging", "release/sprint-1"])
def test_nobody_pushes_a_branch_of_the_platform(shop: Shop, tmp_path: Path, branch: str) -> None:
    tree = WorkTree(tmp_path / "tree", shop.url(_token("ada", Role.ADMIN)))
    tree.commit({"a.txt": "x"}, on=branch)

    said = tree.push(branch, accept=(1,))

    assert "hidden ref" in said
    assert shop.head(branch) is None


@pytest.mark.slow
def test_a_run_pushes_its_one_branch_while_it_lives(shop: Shop, tmp_path: Path) -> None:
    task = a_task(shop.project)
    set_state(task, TaskState.IN_PROGRESS, phase_="working")
    run = a_live_run(task)
    local_forge().ensure_branch(shop.where, task.branch_name, at=shop.head("main") or "")
    credential = local_forge().ensure_credential(shop.where, branch=task.branch_name, run_id=run.id)
    url = shop.url(credential.password, credential.username)
    tree = WorkTree(tmp_path / "tree", url)
    done = tree.commit({"a.txt": "x"}, on=task.branch_name, start=f"origin/{task.branch_name}")
    before = shop.head("main")

    tree.push(task.branch_name)
    refused = tree.push(f"{task.branch_name}:main", accept=(1,))
    end(run)

    assert shop.head(task.branch_name) == done
    assert shop.head("main") == before
    assert "hidden ref" in refused
    assert "Authentication failed" in _refused(url, "ls-remote")


def test_who_is_nobody_is_asked_for_a_password_wherever_they_knock(shop: Shop) -> None:
    builders.a_user("ada", Role.ADMIN)
    task = a_task(shop.project)
    run = a_live_run(task)
    credential = local_forge().ensure_credential(shop.where, branch=task.branch_name, run_id=run.id)
    for password, username in (
        (None, ""), ("wrong", "ada"), ("aiw_wrong", "ada"), ("wrong", f"run-{run.id}"), (credential.password, "run-x"),
        (builders.PASSWORD, "ada"),
    ):  # fmt: skip
        for name in ("shop.git", "no-such.git"):
            said = _refused(shop.url(password, username, name), "ls-remote")
            assert "Authentication failed" in said or "could not read Username" in said


@pytest.mark.slow
def test_a_foreign_repository_does_not_exist(shop: Shop, plain_app: Flask) -> None:
    hidden = a_project("Hidden", is_restricted=True)
    Shop(shop.port, hidden)
    member = builders.a_user("mia", Role.MEMBER)
    token = builders.a_token(member)
    answers = [
        plain_app.test_client().get(
            f"/git/{place}/info/refs?service={service}", auth=("x", token)
        )
        for place in (f"aiworker/{hidden.slug}", "aiworker/no-such", "other/shop", "aiworker/..", "aiworker/%2e%2e")
        for service in ("git-upload-pack", "git-receive-pack")
    ]  # fmt: skip
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.data for answer in answers[:6]}) == 1

    put_member(hidden.id, member.id, Role.MEMBER, by=somebody())

    assert git("ls-remote", shop.url(token, name=f"{hidden.slug}.git"), "refs/heads/main")


@pytest.mark.parametrize("given", ["\xff", "w6k", ""])
def test_a_password_that_can_not_be_read_is_none(plain_app: Flask, given: str) -> None:
    reply = plain_app.test_client().get(
        "/git/aiworker/shop.git/info/refs?service=git-upload-pack", headers={"Authorization": f"Basic {given}"}
    )

    assert reply.status_code == 401
    assert reply.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.slow
def test_a_member_pushes_the_branch_of_the_task_that_they_hold_and_no_other(shop: Shop, tmp_path: Path) -> None:
    task, other = a_task(shop.project), a_task(shop.project, "Another")
    mia, moe = builders.a_user("mia", Role.MEMBER), builders.a_user("moe", Role.MEMBER)
    tree = WorkTree(tmp_path / "tree", shop.url(builders.a_token(mia)))
    pushed = tree.commit({"a.txt": "x"}, on=task.branch_name)
    assert "403" in tree.push(task.branch_name, accept=(128,))

    set_state(task, TaskState.IN_PROGRESS, phase_="held", held_by="mia", held_by_id=mia.id)
    tree.push(task.branch_name)
    tree.commit({"b.txt": "x"}, on=other.branch_name)
    for branch in (other.branch_name, "main", "feature"):
        assert "hidden ref" in tree.push(f"HEAD:refs/heads/{branch}", accept=(1,))
    assert "403" in tree.push(task.branch_name, to=shop.url(builders.a_token(moe)), accept=(128,))

    assert (shop.head(task.branch_name), shop.head(other.branch_name)) == (pushed, None)
    with snapshot() as read:
        noted = {row.branch: (row.task_id, row.username, row.new_sha) for row in read.all(select(Push))}
    assert noted[task.branch_name] == (task.id, "mia", pushed)
    set_state(task, TaskState.IN_PROGRESS, phase_="queued", held_by=None, held_by_id=None)
    assert "403" in tree.push(task.branch_name, accept=(128,))


def test_the_agent_of_a_task_that_was_taken_over_pushes_until_its_run_is_over(shop: Shop, tmp_path: Path) -> None:
    task = a_task(shop.project)
    set_state(task, TaskState.IN_PROGRESS, phase_="working")
    run = a_live_run(task)
    put(Run, run.id, base_sha=shop.head("main"))
    credential = local_forge().ensure_credential(shop.where, branch=task.branch_name, run_id=run.id)
    tree = WorkTree(tmp_path / "tree", shop.url(credential.password, credential.username))
    steering.take_over(task.id, by=somebody())

    pushed = tree.commit({"a.txt": "x"}, on=task.branch_name)
    tree.push(task.branch_name)

    assert shop.head(task.branch_name) == pushed
    end(run)
    tree.commit({"b.txt": "x"}, on=task.branch_name)
    assert "Authentication failed" in tree.push(task.branch_name, accept=(128,))


@pytest.mark.parametrize("is_let_go", [False, True])
def test_who_loses_the_right_to_push_while_a_push_arrives_moves_nothing(
    shop: Shop, tmp_path: Path, is_let_go: bool
) -> None:
    task, mia = a_task(shop.project), builders.a_user("mia", Role.MEMBER)
    set_state(task, TaskState.IN_PROGRESS, phase_="held", held_by="mia", held_by_id=mia.id)
    token = builders.a_token(mia)
    tree = WorkTree(tmp_path / "tree", shop.url(token))
    pushed = tree.commit({"a.txt": "x"}, on=task.branch_name)
    command = f"{'0' * 40} {pushed} refs/heads/{task.branch_name}\0report-status".encode()
    pack = subprocess.run(
        ["git", "pack-objects", "--revs", "--stdout", "--quiet"], cwd=tree.path, input=f"{pushed}\n".encode(),
        stdout=subprocess.PIPE, check=True,
    ).stdout  # fmt: skip
    body = f"{len(command) + 4:04x}".encode() + command + b"0000" + pack

    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", shop.port, timeout=60)) as client:
        client.putrequest("POST", "/git/aiworker/shop.git/git-receive-pack")
        client.putheader("Authorization", f"Basic {base64.b64encode(f'mia:{token}'.encode()).decode()}")
        client.putheader("Content-Type", "application/x-git-receive-pack-request")
        client.putheader("Content-Length", str(len(body)))
        client.endheaders(body[:-1])
        wait_until("the push to begin", lambda: shop.noted_commits() == [pushed])
        if is_let_go:
            set_state(task, TaskState.IN_PROGRESS, phase_="queued", held_by=None, held_by_id=None)
        client.send(body[-1:])
        client.getresponse().read()

    assert shop.head(task.branch_name) == (None if is_let_go else pushed)
