"""Lists over all projects: totals that end, pages merged of many projects, and words of titles."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete

from common.models import Project, Task, User
from common.models.project import ProjectMember
from common.services.requests import paging
from common.services.tasks import word_search
from common.transaction import Transaction, transactional
from common.values.names import new_id
from common.values.states import Role, TaskState
from tests import builders
from tests.web.factories import a_project

BEGAN_AT = datetime(2026, 1, 1, tzinfo=UTC)


@transactional
def put_tasks(tx: Transaction, project: Project, titles: Sequence[str], **values: Any) -> list[str]:
    """Tasks as old as their place in `titles` says, the last one newest. Returns their ids."""
    ids = [new_id() for _ in titles]
    for number, (row_id, title) in enumerate(zip(ids, titles, strict=True)):
        at = BEGAN_AT + timedelta(minutes=number)
        filled = {
            "state_": TaskState.BACKLOG, "priority": 2, "labels": [], "required_capabilities": [], "limits": {},
            "branch_name": "task", "created_by": "ada", "created_at": at, "updated_at": at, "queued_at": at, **values,
        }  # fmt: skip
        tx.session.add(Task(id=row_id, project_id=project.id, title=title, **filled))
    return ids


@transactional
def delete_tasks(tx: Transaction, ids: Sequence[str]) -> None:
    tx.session.execute(delete(Task).where(Task.id.in_(ids)))


@transactional
def let_in(tx: Transaction, user: User, project: Project) -> None:
    tx.session.add(ProjectMember(project_id=project.id, user_id=user.id, role=Role.MEMBER))


def read(client: FlaskClient, **asked: Any) -> dict[str, Any]:
    body: dict[str, Any] | None = client.get("/api/tasks", query_string=asked).json
    assert body is not None
    return body


def pages_of(client: FlaskClient, **asked: Any) -> list[dict[str, Any]]:
    """All pages, by their cursors."""
    found = [read(client, **asked)]
    while cursor := found[-1]["nextCursor"]:
        found.append(read(client, **asked, cursor=cursor))
    return found


def titles(client: FlaskClient, **asked: Any) -> list[str]:
    return [task["title"] for task in read(client, **asked)["tasks"]]


@pytest.mark.slow
@pytest.mark.parametrize("are_many", [False, True], ids=["few", "many"])
def test_pages_merge_the_projects_that_a_person_sees(
    app: Flask, monkeypatch: pytest.MonkeyPatch, are_many: bool
) -> None:
    monkeypatch.setattr(paging, "MANY_PROJECTS", 2 if are_many else 100)
    mia = builders.a_user("mia")
    client = builders.client_of(app, mia)
    projects = [a_project(f"P{number}", is_restricted=number % 2 == 0) for number in range(9)]
    let_in(mia, projects[0])
    seen = [project for number, project in enumerate(projects) if number % 2 or number == 0]
    for number, project in enumerate(projects[:-1]):
        put_tasks(project, [f"{number}-{place}" for place in range(number + 3)], priority=1 + number % 2)
    listed = {"limit": 4}

    found = pages_of(client, **listed)

    tasks = [task for page in found for task in page["tasks"]]
    assert [len(page["tasks"]) for page in found[:-1]] == [4] * (len(found) - 1)
    assert tasks == sorted(tasks, key=lambda task: (task["createdAt"], task["id"]), reverse=True)
    assert len({task["id"] for task in tasks}) == len(tasks) == 3 + 4 + 6 + 8 + 10
    assert {task["projectId"] for task in tasks} == {project.id for project in seen}
    assert {page["total"] for page in found} == {len(tasks)}
    by_offset = [read(client, limit=4, offset=offset)["tasks"] for offset in range(0, len(tasks), 4)]
    assert [task for page in by_offset for task in page] == tasks
    urgent = [task for page in pages_of(client, **listed, priority="medium") for task in page["tasks"]]
    assert urgent == [task for task in tasks if task["priority"] == "medium"] != []


def test_a_total_over_all_projects_ends(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (paging, word_search):
        monkeypatch.setattr(module, "MOST_COUNTED", 5)
    mia = builders.a_user("mia")
    member, admin = builders.client_of(app, mia), builders.client_of(app, builders.a_user("ada", Role.ADMIN))
    shop, hidden = a_project("Shop"), a_project("Hidden", is_restricted=True)
    put_tasks(shop, ["A cart"] * 5)
    put_tasks(hidden, ["A cart"])

    def totals(client: FlaskClient, **asked: Any) -> tuple[int, bool | None]:
        reply = read(client, limit=1, **asked)
        return reply["total"], reply.get("totalIsCapped")

    for asked in ({}, {"q": "cart"}, {"state": "backlog"}):
        assert totals(member, **asked) == (5, None)
        assert totals(admin, **asked) == (5, True)
    put_tasks(shop, ["A cart"] * 3)
    for asked in ({}, {"q": "cart"}):
        assert totals(member, **asked) == (5, True)
        assert totals(member, **asked, projectId=shop.id) == (8, None)


DECOMPOSED = unicodedata.normalize("NFD", "Größe der Schrift über Bildern")
FOUND = {
    "log": {"Implement login", "LOGGING, everywhere"},
    "LOGIN": {"Implement login"},
    "ogin": set(),
    "impl log": {"Implement login"},
    "login implement": {"Implement login"},
    "100%": {"Add a 100% discount"},
    "a-100": {"Add a 100% discount"},
    "a": {"Add a 100% discount", "ÁRBOL (a la ñandú)"},
    "it's": {"Say how it's done"},
    "ñan": {"ÁRBOL (a la ñandú)"},
    "修复": {"修复 登录🚀"},
    "snake": {"find_the snake_case"},
    unicodedata.normalize("NFD", "übe"): {DECOMPOSED},
    "schri gr": {DECOMPOSED},
}  # fmt: skip
HOSTILE = (
    "%", "_", "*", '"" OR ""', "title : *", "NEAR(a b)", "a AND", "-login", "@8", "(", "~<>", "{title ends} : x", "\\",
)  # fmt: skip


def _read_before_the_index(monkeypatch: pytest.MonkeyPatch, sample: int, window: int) -> None:
    """MariaDB reads so many of the newest titles, and asks its text index where there are more than these."""
    monkeypatch.setattr(word_search, "SAMPLE", sample)
    monkeypatch.setattr(word_search, "WINDOW", window)


@pytest.mark.slow
@pytest.mark.parametrize("has_many", [False, True], ids=["few", "many"])
def test_words_are_found_by_their_beginnings(app: Flask, monkeypatch: pytest.MonkeyPatch, has_many: bool) -> None:
    if has_many:
        _read_before_the_index(monkeypatch, 1, 2)
    # SQLite's index is asked for whole words where few have the beginning.
    monkeypatch.setattr(word_search, "MOST_NAMED", 1 if has_many else 8)
    admin = builders.client_of(app, builders.a_user("ada", Role.ADMIN))
    written = sorted({title for found in FOUND.values() for title in found})
    ids = put_tasks(a_project("Shop"), written)
    if has_many:
        # SQLite's index takes in 64 at once.
        put_tasks(a_project("Full"), ["zz"] * 64)
    member = builders.client_of(app, builders.a_user("mia"))

    for client in (admin, member):
        assert {text: set(titles(client, q=text)) for text in FOUND} == FOUND
        for text in HOSTILE:
            reply = client.get("/api/tasks", query_string={"q": text})
            assert (reply.status_code, "totalIsCapped" in (reply.json or {})) in {(200, False), (400, False)}, text
        for number, row_id in enumerate(ids):
            assert titles(client, q=row_id[-8:].upper()) == [written[number]]
            # One in two thousand ids ends with what is a word, too.
            assert row_id[-3:] in {"100", "add"} or titles(client, q=row_id[-3:]) == []
            assert titles(client, q=row_id[:8]) == []
    renamed = admin.patch(f"/api/tasks/{ids[written.index('Implement login')]}", json={"title": "Let people in"})
    assert renamed.status_code == 200
    assert (titles(admin, q="login"), titles(admin, q="peop")) == ([], ["Let people in"])
    assert titles(admin, q="peop", state="backlog", priority="medium") == ["Let people in"]
    assert titles(admin, q="peop", state="failed") == []


@pytest.mark.slow
def test_words_are_found_whether_the_index_has_taken_them_in_or_not(app: Flask) -> None:
    """SQLite's takes in 64 new tasks at once; of those, some are renamed or deleted before, some after that."""
    member, admin = (builders.client_of(app, builders.a_user(role, role)) for role in (Role.MEMBER, Role.ADMIN))
    shop, hidden = a_project("Shop"), a_project("Hidden", is_restricted=True)
    left: dict[str, str] = {}

    def check() -> None:
        for client in (member, admin):
            found = pages_of(client, q="cart", limit=50)
            assert [task["id"] for page in found for task in page["tasks"]] == list(reversed(left))
            assert {page["total"] for page in found} == {len(left)}
            if left:
                assert titles(client, q=list(left)[-1][-8:]) == [list(left.values())[-1]]

    for number in range(12):
        put_tasks(hidden, ["A hidden thing"] * 3)
        written = [f"A cart {number}-{place}" for place in range(7)]
        ids = put_tasks(shop, written, created_at=BEGAN_AT + timedelta(days=number))
        left.update(zip(ids, written, strict=True))
        # The newest, whose number must not be given to the next one, and an older one.
        gone = [ids[-1], next(iter(left))]
        delete_tasks(gone)
        renamed = [ids[2], list(left)[len(left) // 2]]
        for row_id in renamed:
            assert admin.patch(f"/api/tasks/{row_id}", json={"title": "Other"}).status_code == 200
        for row_id in {*gone, *renamed}:
            left.pop(row_id, None)
        check()
    assert len(titles(admin, q="thing", limit=100)) == 36
    assert titles(member, q="thing") == []


@pytest.mark.slow
def test_pages_of_words_follow_each_other(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    _read_before_the_index(monkeypatch, 2, 5)
    mia = builders.a_user("mia")
    client, admin = builders.client_of(app, mia), builders.client_of(app, builders.a_user("ada", Role.ADMIN))
    shop, hidden, joined = a_project("Shop"), a_project("H", is_restricted=True), a_project("J", is_restricted=True)
    let_in(mia, joined)
    order = random.Random(1)
    for project in (shop, hidden, joined):
        put_tasks(project, [f"{project.name} {order.choice(['login', 'logout', 'search'])}" for _ in range(20)])

    for asked, seen in ((client, {"Shop", "J"}), (admin, {"Shop", "J", "H"})):
        everything = [task for page in pages_of(admin, limit=200) for task in page["tasks"]]
        wanted = [
            task for task in everything if " log" in task["title"] and task["title"].split()[0] in seen
        ]  # fmt: skip
        found = pages_of(asked, q="log", limit=3)
        tasks = [task for page in found for task in page["tasks"]]
        assert sorted(task["id"] for task in tasks) == sorted(task["id"] for task in wanted)
        assert {page["total"] for page in found} == {len(wanted)}
        second = read(asked, q="log", limit=3, offset=3)
        assert (second["tasks"], second["total"]) == (tasks[3:6], len(wanted))
    for wrong in ("x", "MTIzfDQ", "eHh4eHh4"):
        assert admin.get("/api/tasks", query_string={"q": "log", "cursor": wrong}).status_code == 400
