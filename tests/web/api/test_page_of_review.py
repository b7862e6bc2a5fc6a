"""The changes of a task as a reviewer reads them, and what is approved."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Route, expect

from common.models import Task
from tests.web.live_feed import LiveFeed
from tests.web.page_reader import PageReader
from tests.web.world import World, get, put

pytestmark = pytest.mark.slow

OLDER, NEWER = "a" * 40, "b" * 40
# What a compiler compares with is longer than it looks: the end of the line seems to be a comment.
MISLEADING = 'if role != "user\u202e \u2066// Check if admin\u2069 \u2066":'


def a_diff(head_sha: str, line: str) -> dict[str, Any]:
    """A reply to GET /tasks/:id/diff: the line is added to a file."""
    patch = f"diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1,1 +1,2 @@\n a = 1\n+{line}\n"
    file = {"path": "x.py", "oldPath": None, "status": "modified", "additions": 1, "deletions": 0}
    return {"headSha": head_sha, "baseSha": "0" * 40, "truncated": False, "patch": patch, "files": [file]}


def _in_review(reader: PageReader, world: World, line: str) -> Task:
    """A task whose change adds this line, with its review open."""
    project = world.project()
    task = world.task(project, "Greet", state="ready_to_test")
    put(Task, task.id, head_sha=OLDER, branch_name="task/greet")
    reader.page.route(f"**/api/tasks/{task.id}/diff", lambda route: route.fulfill(json=a_diff(OLDER, line)))
    reader.open(f"#/projects/{project.id}/tasks/{task.id}/review")
    return task


def test_a_commit_is_approved_only_once_it_is_shown(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project, "Greet", state="ready_to_test")
    put(Task, task.id, head_sha=OLDER, branch_name="task/greet")
    feed = LiveFeed(reader.page)
    diffs, waiting = [a_diff(OLDER, "b = 'older'")], list[Route]()

    def answer(route: Route) -> None:
        if diffs:
            route.fulfill(json=diffs.pop())
        else:
            waiting.append(route)

    reader.page.route(f"**/api/tasks/{task.id}/diff", answer)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}/review")
    expect(reader.see("task-diff")).to_contain_text("older")
    expect(reader.see("task-approve")).to_be_enabled()

    put(Task, task.id, head_sha=NEWER)
    # The page knows of the newer commit, and waits for its diff.
    with reader.page.expect_request(f"**/api/tasks/{task.id}/diff"):
        feed.tell("task:updated", project.id, feed.SEQ + 1, taskId=task.id, changed=["headSha"])
    expect(reader.see("task-approve")).to_be_disabled()
    waiting.pop().fulfill(status=500, json={"error": "Internal server error", "requestId": "r-1"})

    trouble = reader.see("task-diff").get_by_role("alert")
    expect(trouble).to_contain_text("The server failed")
    expect(reader.see("task-diff")).to_contain_text("older")
    expect(reader.see("task-approve")).to_be_disabled()

    diffs.append(a_diff(NEWER, "b = 'newer'"))
    trouble.get_by_role("button").click()
    expect(reader.see("task-diff")).to_contain_text("newer")
    with reader.page.expect_request(f"**/api/tasks/{task.id}/approve") as approval:
        reader.see("task-approve").click()

    assert approval.value.post_data_json == {"commitSha": NEWER}


def test_a_commit_that_the_page_has_not_heard_of_is_not_approved(reader: PageReader, plain_world: World) -> None:
    task = _in_review(reader, plain_world, "b = 2")
    expect(reader.see("task-diff")).to_contain_text("b = 2")
    put(Task, task.id, head_sha=NEWER)

    reader.see("task-approve").click()

    expect(reader.see("toast")).to_contain_text("review that commit")
    assert get(Task, task.id).state == "ready_to_test"
