"""The default branch only ever moves to what was tested: no push forces, deletes or sneaks past it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from flask import Flask
from sqlalchemy import select

from common.jobs import catalogue
from common.models import EventRow, Push
from common.providers.forge import local_forge
from common.services.changes import pushes
from common.services.projects import projects
from common.services.tasks import forge_changes
from common.transaction import snapshot
from common.values.states import ProjectState, Role
from tests import builders
from tests.e2e.instance import wait_until
from tests.long_waits import LONG_WAIT_SECONDS
from tests.providers.git_work_tree import WorkTree, git
from tests.web.factories import a_live_run, a_project, a_task, set_state
from tests.web.git.test_smart_http import Shop, served_app
from tests.web.world import get, run_jobs


class Attack(Shop):
    """max, a maintainer, with a clone."""

    def __init__(self, app: Flask, port: int, folder: Path, **values: object) -> None:
        super().__init__(port, a_project(**values))
        set_state(self.project, ProjectState.ACTIVE)
        self.app, self.folder = app, folder
        self.max = builders.a_user("max", Role.MAINTAINER)
        self.token = builders.a_token(self.max)
        self.address = self.url(self.token)
        self.tree = WorkTree(folder / "tree", self.address)
        self.start = self.head("main") or ""

    def commit(self, text: str, *, on: str = "main") -> str:
        return self.tree.commit({"a.txt": text}, on=on)

    def direct(self, *, is_allowed: bool) -> None:
        projects.update_project(self.project.id, {"allow_direct_push": is_allowed}, by=builders.caller_of(self.max))

    def settle(self) -> None:
        """Look what became of the pushes, as the worker does."""
        run_jobs(catalogue.WATCH_REPOSITORY)

    def wait_until_ended(self) -> None:
        """git's client has its answer a moment before the server is done."""
        wait_until("every push to end", lambda: all(push.ended_at is not None for push in self.pushes()))

    def audit(self) -> list[tuple[str, str]]:
        """Who pushed, and the text of the event."""
        with snapshot() as read:
            rows = read.all(select(EventRow).where(EventRow.name == "branch:pushed").order_by(EventRow.seq))
            return [(row.actor, row.data) for row in rows]

    def pushes(self) -> list[Push]:
        with snapshot() as read:
            return list(read.all(select(Push)))

    def post(self, body: bytes, **headers: str) -> requests.Response:
        """A push as no git sends it."""
        address = f"http://127.0.0.1:{self.port}/git/aiworker/shop.git/git-receive-pack"
        return requests.post(
            address, data=body, auth=("x", self.token), timeout=LONG_WAIT_SECONDS,
            headers={"Content-Type": "application/x-git-receive-pack-request", **headers},
        )  # fmt: skip


@pytest.fixture
def attack(plain_app: Flask, tmp_path: Path) -> Iterator[Attack]:
    with served_app(plain_app) as port:
        yield Attack(plain_app, port, tmp_path)


@pytest.mark.slow
def test_a_new_project_takes_the_first_push_as_an_import_and_no_second(attack: Attack) -> None:
    first = attack.commit("first")
    attack.tree.push("main")
    attack.commit("second")

    said = attack.tree.push("main", accept=(1,))

    assert attack.head("main") == first
    assert "allowDirectPush is off" in said
    assert get(type(attack.project), attack.project.id).allow_direct_push is False


def test_with_direct_pushes_on_fast_forwards_pass_and_nothing_else(attack: Attack) -> None:
    attack.direct(is_allowed=True)
    for text in ("first", "second"):
        attack.commit(text)
        attack.tree.push("main")
    head = attack.head("main")
    git("reset", "--quiet", "--hard", attack.start, at=attack.tree.path)
    attack.commit("forced")

    forced = attack.tree.push("+main", accept=(1,))
    deleted = attack.tree.push(":main", accept=(1,))
    attack.tree.push("+main:HEAD", accept=(1,))

    assert attack.head("main") == head == git("rev-parse", "origin/main", at=attack.tree.path)
    assert "non-fast-forward" in forced
    assert "deletion prohibited" in deleted
    assert git("symbolic-ref", "HEAD", at=local_forge().repository_path(attack.where)) == "refs/heads/main"


@pytest.mark.slow
def test_the_audit_has_each_push_with_who_pushed(attack: Attack) -> None:
    first = attack.commit("first")
    attack.tree.push("main")
    attack.commit("second")
    attack.tree.push("main", accept=(1,))
    attack.direct(is_allowed=True)
    second = attack.head("main")
    attack.tree.push("main", "main:feature")
    third = attack.head("main")
    git("commit", "--quiet", "--amend", "--message", "Forced", at=attack.tree.path)
    attack.tree.push("+main", accept=(1,))

    attack.wait_until_ended()
    for _ in range(2):
        attack.settle()

    found = attack.audit()
    assert [actor for actor, _ in found] == ["max", "max"]
    assert (f'"newSha":"{first}"' in found[0][1], f'"oldSha":"{second}"' in found[1][1]) == (True, True)
    assert f'"newSha":"{third}"' in found[1][1]
    assert all(push.settled_at is not None for push in attack.pushes())


def test_a_push_whose_process_died_is_found_all_the_same(attack: Attack) -> None:
    """It was written down, git moved the branch, and nobody came back to say so."""
    head = attack.commit("first")
    attack.tree.push("main", to=str(local_forge().repository_path(attack.where)))
    from_max = builders.caller_of(attack.max)
    pushes.note_pushes(attack.project.id, [pushes.NewPush("main", attack.start, head)], by=from_max)

    forge_changes.watch_all()
    attack.settle()

    assert [actor for actor, _ in attack.audit()] == ["max"]


def test_an_agent_forces_its_own_branch_and_never_the_default(attack: Attack) -> None:
    attack.direct(is_allowed=True)
    task = a_task(attack.project)
    run = a_live_run(task)
    local_forge().ensure_branch(attack.where, task.branch_name, at=attack.start)
    mine = local_forge().ensure_credential(attack.where, branch=task.branch_name, run_id=run.id)
    attack.tree.commit({"b.txt": "1"}, on=task.branch_name, start="origin/main")
    url = attack.url(mine.password, mine.username)
    attack.tree.push(task.branch_name, to=url)
    git("commit", "--quiet", "--amend", "--message", "Rewritten", at=attack.tree.path)
    attack.tree.push(f"+{task.branch_name}", to=url)
    assert attack.head(task.branch_name) == git("rev-parse", "HEAD", at=attack.tree.path)

    stolen = local_forge().ensure_credential(attack.where, branch="main", run_id=run.id)
    attack.tree.push(f"{task.branch_name}:main", to=attack.url(stolen.password, stolen.username), accept=(1,))

    assert attack.head("main") == attack.start


@pytest.mark.slow
def test_released_tags_are_the_platforms(attack: Attack) -> None:
    attack.commit("one")
    local_forge().ensure_tag(attack.where, "released/one", at=attack.start)

    for refspec in ("+main:refs/tags/released/one", "main:refs/tags/released/two", ":refs/tags/released/one"):
        attack.tree.push(refspec, accept=(1,))
    attack.tree.push("main:refs/tags/mine")

    tags = git("for-each-ref", "--format=%(refname) %(objectname)", "refs/tags", at=_bare(attack)).splitlines()
    assert tags == [f"refs/tags/mine {attack.head('main') and git('rev-parse', 'main', at=attack.tree.path)}",
                    f"refs/tags/released/one {attack.start}"]  # fmt: skip


def _bare(attack: Attack) -> Path:
    return local_forge().repository_path(attack.where)


def _packet(text: str) -> bytes:
    return f"{len(text) + 4:04x}{text}".encode()


def test_no_other_way_of_writing_a_push_passes(attack: Attack) -> None:
    """Commands inside of a signed push, compressed ones, and what is no command at all."""
    attack.commit("first")
    attack.tree.push("main")
    head = attack.head("main") or ""
    command = f"{head} {attack.start} refs/heads/main"
    plain = _packet(f"{command}\0 report-status") + b"0000"
    certified = (
        _packet("push-cert\0 report-status\n") + _packet("certificate version 0.1\n") + _packet(f"\n{command}\n")
    )

    compressed = attack.post(gzip.compress(plain), **{"Content-Encoding": "gzip"})
    answers = [
        attack.post(body).status_code
        for body in (certified + _packet("push-cert-end\n") + b"0000", b"nonsense", b"00", b"0040abc", b"0004" + plain,
                     b"0x1f" + plain)
    ]  # fmt: skip

    broken = attack.post(gzip.compress(plain)[:-12] + b"\xff" * 12, **{"Content-Encoding": "gzip"})

    assert broken.status_code in {200, 400}
    assert compressed.status_code == 200
    assert b"ng refs/heads/main" in compressed.content
    assert answers == [400] * len(answers)
    assert attack.head("main") == head
