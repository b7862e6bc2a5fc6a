"""The changes of a task as a reviewer reads them, and what is approved."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Route, expect

from common.machine.text import has_invisible
from common.models import Task
from tests.web.live_feed import LiveFeed
from tests.web.page_reader import ORIGIN, PageReader
from tests.web.world import World, get, put

pytestmark = pytest.mark.slow

COMPOSE_ESCAPE = """field => field.dispatchEvent(
  new KeyboardEvent("keydown", { key: "Escape", isComposing: true, bubbles: true, cancelable: true }))"""
OLDER, NEWER = "a" * 40, "b" * 40
# What a compiler compares with is longer than it looks: the end of the line seems to be a comment.
MISLEADING = 'if role != "user\u202e \u2066// Check if admin\u2069 \u2066":'
MARKED = 'if role != "userU+202E U+2066// Check if adminU+2069 U+2066":'
FIND_INVISIBLE = """async () => {
  const { hasInvisible } = await import("/static/app/parts/invisible.mjs");
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


def test_a_comment_that_is_being_written_stays_with_the_version_that_it_is_about(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    task = plain_world.task(project, "Greet", state="ready_to_test")
    put(Task, task.id, head_sha=OLDER, branch_name="task/greet")
    feed = LiveFeed(reader.page)
    diffs = [a_diff(NEWER, "b = 'newer'"), a_diff(OLDER, "b = 'older'")]
    reader.page.route(f"**/api/tasks/{task.id}/diff", lambda route: route.fulfill(json=diffs.pop()))
    reader.open(f"#/projects/{project.id}/tasks/{task.id}/review")
    reader.page.locator("td.nums[tabindex]").last.click()
    written = reader.see("diff-comment")
    written.fill("Older is wrong")
    put(Task, task.id, head_sha=NEWER)
    feed.tell("task:updated", project.id, feed.SEQ + 1, taskId=task.id, changed=["headSha"])
    expect(reader.see("task-diff")).to_contain_text("newer")

    expect(written).to_have_value("Older is wrong")
    expect(written).to_be_focused()
    expect(reader.page.locator(".note.others").get_by_test_id("diff-comment")).to_have_count(1)
    expect(reader.page.locator(".note.others")).to_contain_text("line 2, another version")
    expect(reader.see("diff-suggest")).to_have_count(0)
    # The same line of the newer version has a comment of its own.
    reader.page.locator("td.nums[tabindex]").last.click()
    expect(written).to_have_count(2)
    written.last.fill("Newer is right")
    for _one in range(2):
        reader.see("diff-comment-add").first.click()
    expect(reader.see("diff-comment")).to_have_count(0)

    comments = plain_world.client.get(f"/api/tasks/{task.id}/review").json["review"]["comments"]
    assert {(one["body"], one["line"], one["commitSha"]) for one in comments} == {
        ("Older is wrong", 2, OLDER), ("Newer is right", 2, NEWER),
    }  # fmt: skip


def test_a_commit_that_the_page_has_not_heard_of_is_not_approved(reader: PageReader, plain_world: World) -> None:
    task = _in_review(reader, plain_world, "b = 2")
    expect(reader.see("task-diff")).to_contain_text("b = 2")
    put(Task, task.id, head_sha=NEWER)

    reader.see("task-approve").click()

    expect(reader.see("toast")).to_contain_text("review that commit")
    assert get(Task, task.id).state == "ready_to_test"


@pytest.mark.parametrize("mode", ["unified", "split"])
def test_a_comment_on_a_line_that_the_diff_leaves_out_stands_below_that_line(
    reader: PageReader, plain_world: World, mode: str
) -> None:
    project = plain_world.project()
    task = plain_world.task(project, "Greet", state="ready_to_test")
    put(Task, task.id, head_sha=OLDER, branch_name="task/greet")
    path = f"/api/tasks/{task.id}/review/comments"
    # A line is deleted before the last two: old 35 is new 34.
    for side, line, body in [("new", 10, "Tenth"), ("old", 35, "Thirty-fourth"), ("new", 70, "Behind the end")]:
        place = {"path": "x.py", "line": line, "side": side, "commitSha": OLDER, "body": body}
        assert plain_world.client.post(path, json=place).status_code == 201
    patch = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -29,3 +29,2 @@\n line 29\n-gone\n line 30\n"
    diff = {**a_diff(OLDER, ""), "patch": patch}
    asked: list[str] = []

    def answer(route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        asked.append(route.request.url)
        first, last = int(query["firstLine"][0]), min(60, int(query["lastLine"][0]))
        lines = [f"line {number}" for number in range(first, last + 1)]
        about = {"path": "x.py", "commitSha": OLDER, "firstLine": first, "totalLines": 60}
        route.fulfill(json={**about, "lines": lines})

    reader.page.route(f"**/api/tasks/{task.id}/diff", lambda route: route.fulfill(json=diff))
    reader.page.route(f"**/api/tasks/{task.id}/file?*", answer)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}/review")
    if mode == "split":
        reader.see("diff-split").click()

    below = reader.page.locator("tr.code-row", has=reader.page.get_by_text("line 10", exact=True)).locator("+ tr")
    expect(below.get_by_test_id("pending-comment")).to_contain_text("Tenth")
    below = reader.page.locator("tr.code-row", has=reader.page.get_by_text("line 34", exact=True)).locator("+ tr")
    expect(below.get_by_test_id("pending-comment")).to_contain_text("Thirty-fourth")
    others = reader.page.locator(".note.others")
    expect(others).to_contain_text("Behind the end")
    expect(others).not_to_contain_text("Tenth")
    expect(reader.page.get_by_text("line 20", exact=True)).to_have_count(0)
    reader.settle()
    assert len(asked) == 3


def test_characters_that_change_how_a_change_reads_are_shown(reader: PageReader, plain_world: World) -> None:
    _in_review(reader, plain_world, MISLEADING)

    added = reader.page.locator("tr.insert td.code")
    expect(added).to_have_text(MARKED)
    # Still so once it is coloured.
    expect(added.locator("[class^=hljs]").first).to_be_visible()
    expect(added).to_have_text(MARKED)
    expect(reader.page.locator(".diff-head")).to_contain_text("Invisible characters")


def test_characters_that_change_how_output_reads_are_shown(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project(has_repository=True)
    task = plain_world.task(project, "Greet")
    agent, _agent_id = plain_world.agent()
    run, claim = plain_world.claim(agent)
    patch = f"--- a/x.py\n+++ b/x.py\n@@ -1,1 +1,2 @@\n a = 1\n+{MISLEADING}"
    lines = [
        {"kind": "tool", "message": "Edit", "callId": "c-1", "details": {"name": "Edit", "diff": patch}},
        {"kind": "result", "message": MISLEADING, "callId": "c-1", "details": {"ok": True}},
    ]
    numbered = [{"level": "info", "number": number, **line} for number, line in enumerate(lines, 1)]
    assert run.post(f"/api/runner/runs/{claim['run']['id']}/logs", json={"lines": numbered}).status_code < 300

    reader.open(f"#/projects/{project.id}/tasks/{task.id}/work")

    expect(reader.see("transcript-diff")).to_contain_text(MARKED)
    reader.page.locator(".call > summary").click()
    expect(reader.see("call-output")).to_have_text(MARKED)


def test_what_is_shown_is_what_names_may_not_contain(source_reader: PageReader) -> None:
    source_reader.open()

    found = source_reader.page.evaluate(FIND_INVISIBLE)

    assert found == [code for code in range(0x110000) if has_invisible(chr(code))]
    joined = "async text => (await import('/static/app/parts/invisible.mjs')).hasInvisible(text)"
    assert not source_reader.page.evaluate(
        joined, "by \U0001f469\U0001f3fd\u200d\U0001f4bb and \u2764\ufe0f\u200d\U0001f525"
    )


def test_a_rejection_that_somebody_else_was_faster_with_can_be_sent_as_a_comment(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    task = plain_world.task(project, state="ready_to_test")
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    reader.see("task-reject").click()
    reason = reader.see("reject-reason")
    reason.fill("The greeting")

    put(Task, task.id, state_="approved")
    feed.tell("task:status_changed", project.id, feed.SEQ + 1, taskId=task.id, newState="approved")
    expect(reader.see("rejection")).to_contain_text("Not sent")
    expect(reason).to_be_focused()
    reader.page.keyboard.type(" is rude")
    reader.see("reject-comment").click()

    expect(reader.see("task-comments")).to_contain_text("The greeting is rude")
    expect(reader.see("rejection")).to_have_count(0)


def test_a_rejection_that_was_begun_before_says_so_and_is_thrown_away(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project, state="ready_to_test")
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    reader.see("task-reject").click()
    reader.see("reject-reason").fill("The greeting is rude")
    reader.page.reload()

    reader.see("task-reject").click()
    expect(reader.see("reject-reason")).to_have_value("The greeting is rude")
    expect(reader.see("draft-kept")).to_be_visible()

    put(Task, task.id, state_="approved")
    reader.page.reload()
    reader.see("reject-discard").click()
    expect(reader.see("rejection")).to_have_count(0)
    reader.page.reload()
    expect(reader.see("comment-body")).to_be_visible()
    expect(reader.see("rejection")).to_have_count(0)


def test_escape_that_ends_the_writing_of_a_word_keeps_the_answer_open(reader: PageReader, plain_world: World) -> None:
    _in_review(reader, plain_world, "b = 1")
    reader.see("review-finish").click()
    field = reader.page.locator(".review-finish textarea")
    field.fill("Good")

    field.evaluate(COMPOSE_ESCAPE)

    reader.settle()
    expect(field).to_have_value("Good")
    field.press("Escape")
    expect(field).to_have_count(0)


def test_files_are_marked_as_viewed_in_two_windows(reader: PageReader, plain_world: World) -> None:
    files = [{"path": f"{name}.py", "status": "modified", "additions": 1, "deletions": 0} for name in "xyz"]
    patches = [a_diff(OLDER, "b = 1")["patch"].replace("x.py", file["path"]) for file in files]
    diff = {**a_diff(OLDER, ""), "patch": "".join(patches), "files": files}
    project = plain_world.project()
    task = plain_world.task(project, "Greet", state="ready_to_test")
    put(Task, task.id, head_sha=OLDER, branch_name="task/greet")
    windows = [reader.page, reader.new_tab()]
    for window in windows:
        window.route(f"**/api/tasks/{task.id}/diff", lambda route: route.fulfill(json=diff))
        window.goto(f"{ORIGIN}/#/projects/{project.id}/tasks/{task.id}/review")
        expect(window.get_by_test_id("file-viewed")).to_have_count(3)

    for place, window in enumerate(windows):
        window.get_by_test_id("file-viewed").nth(place).check()
        for each in windows:
            expect(each.get_by_test_id("review-files")).to_contain_text(f"{place + 1} of 3 viewed")

    reader.page.reload()
    expect(reader.see("review-files")).to_contain_text("2 of 3 viewed")


def test_a_window_with_an_older_commit_keeps_the_marks_of_the_newer_one(
    reader: PageReader, plain_world: World
) -> None:  # fmt: skip
    task = _in_review(reader, plain_world, "b = 1")
    other = reader.new_tab()
    other.route(f"**/api/tasks/{task.id}/diff", lambda route: route.fulfill(json=a_diff(NEWER, "b = 2")))
    put(Task, task.id, head_sha=NEWER)
    other.goto(reader.page.url)
    other.get_by_test_id("file-viewed").check()

    reader.see("file-viewed").check()

    other.reload()
    expect(other.get_by_test_id("file-viewed")).to_be_checked()


def test_a_pending_comment_that_another_window_submits_while_it_is_changed_is_a_new_one(
    reader: PageReader, plain_world: World
) -> None:
    feed = LiveFeed(reader.page)
    task = _in_review(reader, plain_world, "b = 2")
    path = f"/api/tasks/{task.id}/review"
    place = {"path": "x.py", "side": "new", "commitSha": OLDER}
    for line in (1, 2):
        comment = {**place, "line": line, "body": f"On line {line}"}
        assert plain_world.client.post(f"{path}/comments", json=comment).status_code == 201
    reader.page.reload()
    pending, editors = reader.see("pending-comment"), reader.see("diff-comment")
    expect(pending).to_have_count(2)
    for _one in range(2):
        pending.first.get_by_role("button", name="Edit").click()
    editors.last.fill("On line 2, and more")

    assert plain_world.client.post(f"{path}/submit", json={"verdict": "comment", "body": ""}).status_code == 200
    feed.tell("review:draft_changed", task.project_id, feed.SEQ + 1, taskId=task.id)

    expect(editors).to_have_count(1)
    expect(editors).to_have_value("On line 2, and more")
    expect(editors).to_be_focused()
    reader.see("review-finish").click()
    with reader.page.expect_response(f"**{path}/submit"):
        reader.see("review-submit").click()
    expect(editors).to_have_count(0)
    said = [one["body"] for one in plain_world.client.get(f"/api/tasks/{task.id}").json["task"]["comments"]]
    assert said == ["On line 1", "On line 2", "On line 2, and more"]


def test_all_of_a_review_that_is_discarded_is_thrown_away_and_comes_back(
    reader: PageReader, plain_world: World
) -> None:
    _in_review(reader, plain_world, "b = 2")
    reader.page.locator("td.nums[tabindex]").last.click()
    reader.see("diff-comment").fill("Why 2?")
    reader.see("review-finish").click()
    reader.see("review-body").fill("In general, no.")

    reader.see("review-discard").click()

    expect(reader.see("diff-comment")).to_have_count(0)
    reader.see("review-finish").click()
    expect(reader.see("review-body")).to_have_value("")
    reader.see("review-finish").click()
    reader.see("undo").click()
    expect(reader.see("diff-comment")).to_have_value("Why 2?")
    reader.see("review-finish").click()
    expect(reader.see("review-body")).to_have_value("In general, no.")


BECOMES_A_LINK = """diff --git a/x.py b/x.py
deleted file mode 100644
--- a/x.py
+++ /dev/null
@@ -1,1 +0,0 @@
-a = 1
diff --git a/x.py b/x.py
new file mode 120000
--- /dev/null
+++ b/x.py
@@ -0,0 +1,1 @@
+y.py
\\ No newline at end of file
"""


def test_a_comment_on_a_file_that_becomes_a_link_stands_in_one_place(reader: PageReader, plain_world: World) -> None:
    task = _in_review(reader, plain_world, "b = 2")
    reader.page.route(f"**/api/tasks/{task.id}/diff", lambda route: route.fulfill(json=diff))
    diff = {**a_diff(OLDER, ""), "patch": BECOMES_A_LINK}
    reader.page.reload()
    files = reader.page.locator(".diff-file")
    expect(files).to_have_count(2)

    files.last.locator("td.nums[tabindex]").last.click()
    reader.see("diff-comment").fill("Why a link?")
    reader.see("diff-comment-add").click()

    expect(reader.see("pending-comment")).to_contain_text("Why a link?")
    expect(files.first).not_to_contain_text("Why a link?")
    expect(files.first).not_to_contain_text("1 comment")
    expect(files.last).to_contain_text("1 comment")
