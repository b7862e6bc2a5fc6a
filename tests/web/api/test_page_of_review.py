"""The changes of a task as a reviewer reads them, and what is approved."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Route, expect

from common.machine.text import has_invisible
from common.models import Task
from tests.web.live_feed import LiveFeed
from tests.web.page_reader import PageReader
from tests.web.world import World, get, put

pytestmark = pytest.mark.slow

OLDER, NEWER = "a" * 40, "b" * 40
# What a compiler compares with is longer than it looks: the end of the line seems to be a comment.
MISLEADING = 'if role != "user\u202e \u2066// Check if admin\u2069 \u2066":'
MARKED = 'if role != "userU+202E U+2066// Check if adminU+2069 U+2066":'
FIND_INVISIBLE = """async () => {
  const { hasInvisible } = await import("/static/app/components/invisible-characters.mjs");
  return Array.from({ length: 0x110000 }, (_, code) => code).filter((code) => hasInvisible(String.fromCodePoint(code)));
}"""


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


def test_characters_that_change_how_a_change_reads_are_shown(reader: PageReader, plain_world: World) -> None:
    _in_review(reader, plain_world, MISLEADING)

    added = reader.page.locator("tr.insert td.code")
    expect(added).to_have_text(MARKED)
    # Still so once it is coloured.
    expect(added.locator("[class^=hljs]").first).to_be_visible()
    expect(added).to_have_text(MARKED)
    expect(reader.page.locator(".diff-head")).to_contain_text("Invisible characters")


def test_what_is_shown_is_what_names_may_not_contain(source_reader: PageReader) -> None:
    source_reader.open()

    found = source_reader.page.evaluate(FIND_INVISIBLE)

    assert found == [code for code in range(0x110000) if has_invisible(chr(code))]
    joined = "async text => (await import('/static/app/components/invisible-characters.mjs')).hasInvisible(text)"
    assert not source_reader.page.evaluate(
        joined, "by \U0001f469\U0001f3fd\u200d\U0001f4bb and \u2764\ufe0f\u200d\U0001f525"
    )
