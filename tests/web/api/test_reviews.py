"""Reviews: comments on lines and ranges at any time, a draft of one's own, a verdict, and suggestions as patches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from common.models import Comment, PendingComment, Run, Task
from common.providers.forge import local_forge
from common.services.conversation.feedback import all_feedback_of, feedback_of
from common.transaction import Transaction, transactional
from common.values.states import Role
from tests.providers.git_work_tree import WorkTree
from tests.web.world import SHA, World, all_of, events, put, repository_of

SUGGESTED = "Shorter:\n\n```suggestion\nprint('hello')\n```\n"


@pytest.fixture
def task(world: World) -> Task:
    return world.task(world.project(), state="ready_to_test")


def at(task: Task, path: str = "") -> str:
    return f"/api/tasks/{task.id}/review{path}"


def pending(client: FlaskClient, task: Task) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(at(task)).json["review"]["comments"]
    return found


def said(world: World, task: Task) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.client.get(f"/api/tasks/{task.id}").json["task"]["comments"]
    return found


def test_a_draft_is_its_authors_until_it_is_submitted(world: World, task: Task) -> None:
    other = world.client_of("mel", Role.MAINTAINER)
    begun = events("task:updated")
    first = world.client.post(at(task, "/comments"), json={"body": "Too loud", "path": "app.py", "line": 2}).json
    second = world.client.post(at(task, "/comments"), json={"body": "And", "path": "app.py", "line": 5}).json
    own = at(task, f"/comments/{first['comment']['id']}")
    for method in (other.patch, other.delete):
        assert method(own, **({"json": {"body": "Mine"}} if method == other.patch else {})).status_code == 404
    assert pending(other, task) == said(world, task) == []
    assert events("task:updated") == begun

    changed = world.client.patch(own, json={"body": "Too loud, here"})
    removed = world.client.delete(at(task, f"/comments/{second['comment']['id']}"))
    assert (changed.status_code, removed.status_code) == (200, 204)
    assert [one["body"] for one in pending(world.client, task)] == ["Too loud, here"]
    assert world.client.patch(own, json={"body": " "}).status_code == 400

    assert world.client.delete(at(task)).status_code == 204
    assert world.client.delete(at(task)).status_code == 204
    assert pending(world.client, task) == []


def test_a_mere_comment_changes_no_state(world: World, task: Task) -> None:
    member = world.client_of("mia", Role.MEMBER)
    empty = member.post(at(task, "/submit"), json={"verdict": "comment", "body": " \n"})
    assert (empty.status_code, empty.json["details"]["field"]) == (400, "body")
    for line in (2, 4):
        member.post(at(task, "/comments"), json={"body": f"line {line}", "path": "app.py", "line": line})
    for verdict in ("approve", "reject"):
        assert member.post(at(task, "/submit"), json={"verdict": verdict, "body": "x"}).status_code == 403
    assert len(pending(member, task)) == 2

    headers = {"Idempotency-Key": "once"}
    replies = [member.post(at(task, "/submit"), json={"verdict": "comment"}, headers=headers) for _ in range(2)]

    assert [reply.json["task"]["state"] for reply in replies] == ["ready_to_test"] * 2
    assert [(one["kind"], one["body"], one["parentId"]) for one in said(world, task)] == [
        ("comment", "line 2", None), ("comment", "line 4", None),
    ]  # fmt: skip
    (event,) = events("task:reviewed")
    assert '"verdict":"comment"' in event.data.replace(" ", "")
    assert all_of(PendingComment) == []


def test_a_rejection_takes_the_draft_along(world: World, task: Task) -> None:
    place = {"path": "app.py", "line": 4, "startLine": 2}
    world.client.post(at(task, "/comments"), json={"body": SUGGESTED, **place})
    reply = world.client.post(at(task, "/submit"), json={"verdict": "reject"})
    assert (reply.status_code, reply.json["details"]["field"]) == (400, "body")
    moved = world.client.post(at(task, "/submit"), json={"verdict": "reject", "body": "x", "commitSha": "b" * 40})
    assert (moved.status_code, moved.json["details"]["field"]) == (409, "commitSha")
    assert len(pending(world.client, task)) == 1

    done = world.client.post(at(task, "/submit"), json={"verdict": "reject", "body": "Not yet", "commitSha": SHA})

    assert (done.json["task"]["state"], done.json["task"]["round"]) == ("in_progress", 2)
    reason, comment = said(world, task)
    assert (reason["kind"], reason["body"], comment["parentId"]) == ("rejection", "Not yet", reason["id"])
    assert comment.items() >= place.items()
    assert pending(world.client, task) == []
    assert world.client.post(at(task, "/submit"), json={"verdict": "reject", "body": "x"}).status_code == 409


@pytest.mark.slow
def test_lines_of_a_file_are_read_at_a_commit_of_the_task(world: World, tmp_path: Path) -> None:
    project = world.project(has_repository=True)
    task = world.task(project)
    tree = WorkTree(tmp_path / "tree", str(local_forge().repository_path(repository_of(project))))
    base = tree.commit({"a b.txt": "one\ntwo\rtwo\nthree\nfour", "bytes": "a\0b", "big": "x" * 2_000_001}, on="main")
    head = tree.commit({"a b.txt": "one\n", " tab\there ": "two\n"}, on=task.branch_name, start="main")
    other = tree.commit({"secret": "x\n"}, on="task-other", start="main")
    for branch in ("main", task.branch_name, "task-other"):
        tree.push(branch)
    viewer = world.client_of("vic", Role.VIEWER)

    def read(path: str, commit: str, **more: int) -> Any:
        query = {"path": path, "commitSha": commit, **more}
        return viewer.get(f"/api/tasks/{task.id}/file", query_string=query)

    assert read("a b.txt", base, firstLine=2, lastLine=3).json == {
        "path": "a b.txt", "commitSha": base, "firstLine": 2, "totalLines": 4, "lines": ["two\rtwo", "three"],
    }  # fmt: skip
    assert read("a b.txt", head).json["lines"] == ["one"]
    assert read(" tab\there ", head).json["lines"] == ["two"]
    assert viewer.get(f"/api/tasks/{task.id}/file?path=a%20b.txt").json["commitSha"] == head
    assert viewer.get(f"/api/tasks/{task.id}/file").json["details"] == {"field": "path", "message": "Required"}
    assert read("a b.txt", head, firstLine=9).json["lines"] == []
    for path, commit, field in (
        ("gone", head, "path"), ("../x", head, "path"), ("bytes", head, "path"), ("big", head, "path"),
        ("secret", other, "commitSha"), ("a b.txt", "f" * 40, "commitSha"), ("a b.txt", "main", "commitSha"),
    ):  # fmt: skip
        reply = read(path, commit)
        assert (reply.status_code, reply.json["details"]["field"]) == (400, field), path


def comment(world: World, task: Task, body: str, **place: Any) -> str:
    made = world.client.post(f"/api/tasks/{task.id}/comments", json={"body": body, **place})
    return str(made.json["comment"]["id"])


def resolve(world: World, task: Task, comment_id: str, resolved: object = True, client: Any = None) -> Any:
    path = f"/api/tasks/{task.id}/comments/{comment_id}"
    return (client or world.client).patch(path, json={"resolved": resolved})


@transactional
def given(tx: Transaction, task_id: str) -> tuple[list[Any], list[Any]]:
    """What a run that is claimed now is given, and what one that knows nothing has to act on."""
    task = tx.lock(Task, task_id)
    run = Run(
        id=f"run-{task.round}-{task_id}"[:40], task_id=task_id, project_id=task.project_id, agent_id="a", round=1,
        usage={}, token_digest=task_id, created_at=tx.now(), seen_at=tx.now(), state_="running", started_at=tx.now(),
    )  # fmt: skip
    everything = all_feedback_of(tx, task, run).current
    return feedback_of(tx, task, run), list(everything)


@pytest.mark.slow
def test_any_member_resolves_a_comment_and_opens_it_again(world: World, task: Task) -> None:
    one = comment(world, task, "Too loud", path="app.py", line=3)
    put(Comment, one, author="codex (review)")
    member, viewer = world.client_of("mia", Role.MEMBER), world.client_of("vic", Role.VIEWER)
    agent, _agent_id = world.agent()
    assert resolve(world, task, one, client=viewer).status_code == 403
    assert resolve(world, task, one, client=agent).status_code in {401, 403}

    for _again in range(2):
        done = resolve(world, task, one, client=member)
        assert (done.status_code, done.json["comment"]["resolvedBy"]) == (200, "mia")
    read = world.client.get(f"/api/tasks/{task.id}").json["task"]["comments"][0]
    assert (read["resolvedBy"], read["resolvedAt"] is None) == ("mia", False)
    assert len([event for event in events("task:updated") if '"comments"' in event.data]) == 2

    opened = resolve(world, task, one, False)
    assert (opened.json["comment"]["resolvedBy"], opened.json["comment"]["resolvedAt"]) == (None, None)


def test_the_agent_is_not_given_what_was_settled_before(world: World, task: Task) -> None:
    settled = comment(world, task, "Settled", path="app.py", line=1)
    comment(world, task, "Open", path="app.py", line=2)
    assert resolve(world, task, settled).status_code == 200

    news, everything = given(task.id)

    assert [item.body for item in news] == [item.body for item in everything] == ["Open"]
    rows = {row.body: row.delivered_run_id for row in all_of(Comment, Comment.task_id == task.id)}
    assert (rows["Settled"], rows["Open"] is None) == (None, False)
