"""Files of a task: added, read and deleted by people, fetched by its run, and never a page of this instance."""

from __future__ import annotations

import io
import os
from typing import Any

import pytest
from flask.testing import FlaskClient

from common.models import Attachment, Task
from common.services.tasks import attachments as services
from common.services.tasks.attachments import LONGEST_NAME, MOST_BYTES, clean_name
from common.transaction import Transaction, transactional
from common.values.states import Role
from tests.web.world import World, all_of

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100
HTML = b"<script>alert(1)</script>"


class Shelf:
    def __init__(self, world: World, **project: Any) -> None:
        self.world = world
        self.project = world.project(**project)
        self.task = world.task(self.project)
        self.mia: FlaskClient = world.client_of("mia", Role.MEMBER)
        self.path = f"/api/tasks/{self.task.id}/attachments"

    def put(self, name: str | None, content: bytes, content_type: str = "application/octet-stream", **more: Any) -> Any:
        query = {} if name is None else {"name": name}
        return self.mia.post(self.path, data=content, query_string=query, content_type=content_type, **more)

    def put_form(self, *files: tuple[str, str, bytes, str], **texts: str) -> Any:
        form: dict[str, Any] = {**texts}
        for field, name, content, media_type in files:
            form.setdefault(field, []).append((io.BytesIO(content), name, media_type))
        return self.mia.post(self.path, data=form, content_type="multipart/form-data")

    def names(self) -> list[str]:
        return [one["name"] for one in self.mia.get(self.path).json["attachments"]]


@pytest.fixture
def shelf(world: World) -> Shelf:
    return Shelf(world)


def test_a_file_is_added_both_ways_and_read_back(shelf: Shelf) -> None:
    first = shelf.put_form(("file", "shot.png", PNG, "image/png"))
    assert first.status_code == 201
    added = first.json["attachment"]
    assert (added["name"], added["mediaType"], added["sizeBytes"], added["addedBy"]) == (
        "shot.png", "image/png", len(PNG), "mia",
    )  # fmt: skip
    second = shelf.put("notes.txt", b"hello", "text/plain; charset=utf-8").json["attachment"]
    assert second["mediaType"] == "text/plain"

    assert shelf.mia.get(f"{shelf.path}/{added['id']}").data == PNG
    assert shelf.mia.get(f"{shelf.path}/{second['id']}").data == b"hello"
    task = shelf.mia.get(f"/api/tasks/{shelf.task.id}").json["task"]
    assert task["attachments"] == shelf.mia.get(shelf.path).json["attachments"] == [added, second]


def test_every_byte_of_the_largest_file_is_kept(shelf: Shelf) -> None:
    # Each of these bytes takes two in a statement.
    for name, content in (("quotes", b"'\\\0\"" * (MOST_BYTES // 4)), ("random", os.urandom(MOST_BYTES))):
        reply = shelf.put(name, content)
        assert reply.status_code == 201, reply.json
        assert shelf.mia.get(f"{shelf.path}/{reply.json['attachment']['id']}").data == content


@pytest.mark.slow
def test_a_task_that_awaits_files_begins_with_all_of_them(world: World) -> None:
    project = world.project(has_repository=True)
    agent, _agent_id = world.agent()
    body = {"projectId": project.id, "title": "Greet", "awaitsFiles": True}
    task = world.client.post("/api/tasks", json=body).json["task"]
    path = f"/api/tasks/{task['id']}"
    assert (task["state"], task["phase"], task["parked"]["code"]) == ("backlog", None, "files")
    assert world.client.get(path).json["task"]["parked"] == task["parked"]
    assert world.client.get("/api/tasks").json["tasks"][0]["parked"] == task["parked"]

    world.claim_nothing(agent)
    for name in ("plan.txt", "shot.png"):
        assert world.client.post(f"{path}/attachments?name={name}", data=PNG).status_code == 201
        world.claim_nothing(agent)
    resumed = world.client.post(f"{path}/resume").json["task"]
    _run, claim = world.claim(agent)

    assert (resumed["state"], resumed["parked"]) == ("backlog", None)
    assert [one["name"] for one in claim["attachments"]] == ["plan.txt", "shot.png"]
    assert world.client.post(f"{path}/resume").status_code == 409


def test_a_file_that_is_too_large_or_empty_is_refused(shelf: Shelf) -> None:
    too_large = shelf.put("big", b"x" * (MOST_BYTES + 1))
    assert (too_large.status_code, too_large.json["details"]) == (400, {"field": "file", "message": "At most 8 MiB"})
    assert shelf.put("huge", b"x" * (MOST_BYTES + 2**17)).status_code == 413
    empty = shelf.put("none", b"")
    assert (empty.status_code, empty.json["details"]["field"]) == (400, "file")
    assert all_of(Attachment) == []


def test_a_file_that_is_sent_again_is_there_once(shelf: Shelf) -> None:
    first = shelf.put("image.png", PNG, headers={"Idempotency-Key": "k1"})
    again = shelf.put("image.png", PNG, headers={"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code, again.json) == (201, 201, first.json)
    assert shelf.put("copy.png", PNG, headers={"Idempotency-Key": "k1"}).status_code == 422

    other = shelf.put("image.png", PNG + b"2").json["attachment"]
    third = shelf.put("image.png", PNG + b"3").json["attachment"]
    assert (other["name"], third["name"]) == ("image-2.png", "image-3.png")
    assert shelf.put("image.png", PNG + b"2").json["attachment"] == other
    assert shelf.names() == ["image.png", "image-2.png", "image-3.png"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a/b/../notes.txt", "notes.txt"),
        ("../../.git/config", "config"),
        ("-rf", "rf"),
        ("a\x00b\x1b[1m\n.txt", "ab[1m.txt"),
        ("gnp.\u202eexe.png", "gnp.exe.png"),
        ("Gru\u0308ße.txt", "Grüße.txt"),
        ("x" * 300 + ".png", "x" * (LONGEST_NAME - 4) + ".png"),
    ],
)
def test_a_name_is_that_of_a_file(given: str, kept: str) -> None:
    assert clean_name(given) == kept


@pytest.mark.parametrize(
    ("name", "content", "content_type", "kept"),
    [
        ("page.html", HTML, "text/html", "text/html"),
        ("picture.svg", b"<svg onload='alert(1)'/>", "image/svg+xml", "image/svg+xml"),
        ("picture.png", HTML, "image/png", "application/octet-stream"),
    ],
)
def test_what_is_no_picture_is_a_download(
    shelf: Shelf, name: str, content: bytes, content_type: str, kept: str
) -> None:
    added = shelf.put(name, content, content_type).json["attachment"]
    assert added["mediaType"] == kept
    reply = shelf.mia.get(f"{shelf.path}/{added['id']}")
    assert reply.headers["Content-Type"] == "application/octet-stream"
    assert reply.headers["Content-Disposition"].startswith("attachment; ")
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in reply.headers["Content-Security-Policy"]


def test_a_task_has_a_bounded_number_of_files_and_bytes(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(services.MOST_FILES):
        assert shelf.put(f"{number}.txt", b"x").status_code == 201
    reply = shelf.put("more.txt", b"x")
    assert (reply.status_code, reply.json["details"]["field"]) == (409, "file")
    assert "delete one" in reply.json["details"]["message"]

    added = shelf.mia.get(shelf.path).json["attachments"][0]
    assert shelf.mia.delete(f"{shelf.path}/{added['id']}").status_code == 204
    monkeypatch.setattr(services, "MOST_BYTES_OF_TASK", 25)
    assert shelf.put("more.txt", b"x" * 7).status_code == 409
    assert shelf.put("more.txt", b"x" * 6).status_code == 201


def test_a_file_is_deleted_by_itself_and_with_its_task(shelf: Shelf) -> None:
    ids = [shelf.put(f"{number}.txt", b"x").json["attachment"]["id"] for number in range(2)]
    assert shelf.mia.delete(f"{shelf.path}/{ids[0]}").status_code == 204
    assert shelf.mia.delete(f"{shelf.path}/{ids[0]}").status_code == 404
    assert shelf.mia.get(f"{shelf.path}/{ids[0]}").status_code == 404
    assert [row.id for row in all_of(Attachment)] == [ids[1]]
    delete_task(shelf.task.id)
    assert all_of(Attachment) == []


@transactional
def delete_task(tx: Transaction, task_id: str) -> None:
    tx.session.delete(tx.lock(Task, task_id))


def test_viewers_read_and_members_write_and_others_see_nothing(shelf: Shelf) -> None:
    added = shelf.put("a.txt", b"x").json["attachment"]
    viewer = shelf.world.client_of("vic", Role.VIEWER)
    assert viewer.get(f"{shelf.path}/{added['id']}").data == b"x"
    assert viewer.post(f"{shelf.path}?name=a", data=b"x").status_code == 403
    assert viewer.delete(f"{shelf.path}/{added['id']}").status_code == 403

    other = Shelf.__new__(Shelf)
    other.task = shelf.world.task(shelf.project, "Other")
    assert shelf.mia.get(f"/api/tasks/{other.task.id}/attachments/{added['id']}").status_code == 404
    assert shelf.mia.delete(f"/api/tasks/{other.task.id}/attachments/{added['id']}").status_code == 404

    shelf.world.client_of("ada", Role.ADMIN).patch(f"/api/projects/{shelf.project.id}", json={"restricted": True})
    for reply in (
        shelf.mia.get(shelf.path), shelf.mia.get(f"{shelf.path}/{added['id']}"), shelf.put("b.txt", b"x"),
        shelf.mia.delete(f"{shelf.path}/{added['id']}"),
    ):  # fmt: skip
        assert reply.status_code == 404


def test_a_run_fetches_the_files_of_its_own_task(world: World) -> None:
    shelf = Shelf(world, has_repository=True)
    added = shelf.put("a.txt", b"content").json["attachment"]
    foreign_task = world.task(shelf.project, "Other")
    foreign = world.client.post(f"/api/tasks/{foreign_task.id}/attachments?name=b", data=b"x").json["attachment"]
    agent, _agent_id = world.agent()
    run, claim = world.claim(agent)
    path = f"/api/runner/runs/{claim['run']['id']}/attachments"
    assert claim["task"]["id"] == shelf.task.id

    reply = run.get(f"{path}/{added['id']}")
    assert (reply.data, reply.headers["Content-Type"]) == (b"content", "application/octet-stream")
    assert run.get(f"{path}/{foreign['id']}").status_code == 404
    assert agent.get(f"{path}/{added['id']}").status_code == 401
    assert run.get(f"{shelf.path}/{added['id']}").status_code == 403
    world.client.post(f"/api/tasks/{shelf.task.id}/cancel")
    assert run.get(f"{path}/{added['id']}").status_code == 409
