"""What somebody writes on the page stays until it is sent, and what could not be done is told."""

from __future__ import annotations

import pytest
from playwright.sync_api import Request, Route, expect

from common.models import Project, Question, Task
from common.states import Priority, Role
from tests.builders import log_in
from tests.png import solid
from tests.web.live_feed import LiveFeed
from tests.web.made import a_question
from tests.web.page_reader import PageReader
from tests.web.world import SHA, World, all_of, get, put

pytestmark = pytest.mark.slow

OTHER_SHA = "b" * 40
PATCH = """diff --git a/x.py b/x.py
--- a/x.py
+++ b/x.py
@@ -1,1 +1,1 @@
-a = 1
+a = 2
"""
FILE = {"path": "x.py", "oldPath": None, "status": "modified", "additions": 1, "deletions": 1}
DIFF = {"headSha": SHA, "baseSha": OTHER_SHA, "truncated": False, "patch": PATCH, "files": [FILE]}
END_SESSION = "async () => (await import('/static/app/session.mjs')).forget()"
"""What the page does once its tokens are refused."""
KEPT = "() => Object.values(sessionStorage)"
SIGN_IN = "async tokens => (await import('/static/app/session.mjs')).keep(tokens)"


@pytest.fixture
def reader(source_reader: PageReader) -> PageReader:
    return source_reader


def test_a_comment_is_not_changed_while_it_is_being_sent(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    held: list[Route] = []
    reader.page.route(f"**/api/tasks/{task.id}/comments", lambda route: held.append(route))
    field = reader.see("comment-body")
    field.fill("First")

    with reader.page.expect_request(f"**/api/tasks/{task.id}/comments"):
        reader.see("comment-submit").click()

    expect(field).not_to_be_editable()
    held[0].fallback()
    expect(field).to_be_editable()
    expect(field).to_have_value("")
    expect(reader.see("task-comments")).to_contain_text("First")


def test_what_is_written_while_a_line_comment_is_sent_becomes_a_change_of_it(
    reader: PageReader, plain_world: World
) -> None:
    project, task = _reviewed(reader, plain_world)
    held: list[Route] = []
    path = f"**/api/tasks/{task.id}/review/comments"
    reader.page.route(path, lambda route: held.append(route))
    reader.open(f"#/projects/{project.id}/tasks/{task.id}/review")
    reader.page.locator("td.nums[tabindex]").last.focus()
    reader.page.keyboard.press("Enter")
    field = reader.see("diff-comment")
    field.fill("First")
    with reader.page.expect_request(path):
        reader.see("diff-comment-add").click()
    field.fill("First, and second")
    held[0].fallback()

    expect(reader.see("diff-comment-add")).to_have_text("Save")
    expect(field).to_have_value("First, and second")
    reader.see("diff-comment-add").click()
    expect(reader.see("pending-comment")).to_contain_text("First, and second")
    expect(reader.see("pending-comment")).to_have_count(1)


def test_a_change_of_a_task_outlives_the_session_and_takes_nothing_else_back(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    task = plain_world.task(project, description="Short.")
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    reader.see("task-edit").click()
    description = reader.page.locator("dialog textarea[name=description]")
    description.fill("An hour of careful writing.")

    _sign_in_again(reader, plain_world)
    put(Task, task.id, priority=int(Priority.URGENT))
    reader.page.reload()
    reader.see("task-edit").click()
    expect(description).to_have_value("An hour of careful writing.")
    expect(reader.see("draft-kept")).to_be_visible()
    reader.page.get_by_role("button", name="Save").click()
    expect(description).to_have_count(0)

    changed = get(Task, task.id)
    assert (changed.description, changed.priority) == ("An hour of careful writing.", int(Priority.URGENT))
    reader.see("task-edit").click()
    expect(reader.see("draft-kept")).to_have_count(0)
    description.fill("Not meant.")
    reader.page.locator("dialog").get_by_role("button", name="Cancel").click()
    reader.see("task-edit").click()
    expect(description).to_have_value("An hour of careful writing.")


def test_what_others_change_while_a_task_is_edited_is_not_taken_back(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project, description="Short.")
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    reader.see("task-edit").click()
    put(Task, task.id, description="Written by somebody else.", labels=["theirs"])
    with reader.page.expect_response(f"**/api/tasks/{task.id}"):
        feed.tell("task:updated", project.id, feed.SEQ + 1, taskId=task.id)
    expect(reader.page.locator(".panel")).to_contain_text("Written by somebody else.")

    reader.page.locator("dialog select[name=priority]").select_option("urgent")
    reader.page.get_by_role("button", name="Save").click()
    expect(reader.page.locator("dialog")).to_have_count(0)

    changed = get(Task, task.id)
    assert (changed.description, changed.labels) == ("Written by somebody else.", ["theirs"])
    assert changed.priority == int(Priority.URGENT)


def test_a_label_with_a_comma_stays_when_something_else_of_its_task_is_changed(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    task = plain_world.task(project, labels=["now, please", "ui"])
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    reader.see("task-edit").click()
    reader.page.locator("dialog textarea[name=notes]").fill("Look after it.")
    reader.page.get_by_role("button", name="Save").click()
    expect(reader.page.locator("dialog")).to_have_count(0)

    changed = get(Task, task.id)
    assert (changed.notes, changed.labels) == ("Look after it.", ["now, please", "ui"])


def test_who_signs_in_next_finds_no_message_and_no_palette(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    reader.open(f"#/projects/{project.id}/tasks")
    reader.see("task-new").click()
    reader.see("task-title").fill("A secret")
    reader.see("task-discard").click()
    expect(reader.see("undo")).to_be_visible()
    reader.page.keyboard.press("Control+k")
    expect(reader.see("palette-input")).to_be_focused()

    reader.page.evaluate(END_SESSION)

    expect(reader.see("login-username")).to_be_visible()
    expect(reader.see("toast")).to_have_count(0)
    reader.page.evaluate(SIGN_IN, log_in(plain_world.client, plain_world.max.username))
    expect(reader.see("who")).to_be_visible()
    expect(reader.page.get_by_role("dialog")).to_have_count(0)


def test_who_signs_in_next_reads_pictures_anew(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project, description="![dot.png](<dot.png>)")
    files = f"/api/tasks/{task.id}/attachments"
    picture = solid(16, 16, (0, 128, 0))
    sent = plain_world.client.post(f"{files}?name=dot.png", data=picture, content_type="image/png")
    assert sent.status_code == 201
    with reader.page.expect_request(f"**{files}/*"):
        reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    expect(reader.see("inline-picture")).to_be_visible()

    with reader.page.expect_request(f"**{files}/*"):
        _sign_in_again(reader, plain_world)

    expect(reader.see("inline-picture")).to_be_visible()


def test_settings_that_are_not_saved_outlive_the_session_but_no_secret_does(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    reader.open(f"#/projects/{project.id}/settings")
    description = reader.page.locator("[name=description]")
    description.fill("A shop.")
    secrets = reader.page.locator("[name=secretEnvVars]")
    secrets.fill("KEY=hunter2")

    _sign_in_again(reader, plain_world)

    expect(description).to_have_value("A shop.")
    expect(secrets).to_have_value("")
    reader.see("draft-kept").get_by_role("button", name="Discard").click()
    expect(description).to_have_value("")
    expect(reader.see("draft-kept")).to_have_count(0)
    description.fill("A museum.")
    reader.see("project-save").click()
    expect(reader.page.get_by_text("Saved.")).to_be_visible()
    assert get(Project, project.id).description == "A museum."
    reader.page.reload()
    expect(description).to_have_value("A museum.")
    expect(reader.see("draft-kept")).to_have_count(0)


def test_an_answer_that_somebody_else_was_faster_with_can_be_sent_as_a_comment(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    question = a_question(task)
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    reader.see("question-answer").fill("A long answer, with reasons.")
    answer = {"questionId": question.id, "response": "Warm"}
    mia = plain_world.client_of("mia", Role.MEMBER)
    assert mia.post(f"/api/tasks/{task.id}/respond", json=answer).status_code == 200
    feed.tell("question:answered", project.id, feed.SEQ + 1, taskId=task.id, questionId=question.id)

    late = reader.see("answer-unsent")
    expect(late).to_contain_text("Warm by mia", use_inner_text=True)
    reader.page.reload()
    expect(late.get_by_role("textbox")).to_have_value("A long answer, with reasons.")
    reader.see("answer-comment").click()

    expect(late).to_have_count(0)
    expect(reader.see("task-comments")).to_contain_text("A long answer, with reasons.")


def test_an_answer_that_came_too_late_is_not_lost(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    question = a_question(task)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    reader.see("question-answer").fill("A long answer, with reasons.")
    answer = {"questionId": question.id, "response": "Warm"}
    mia = plain_world.client_of("mia", Role.MEMBER)
    assert mia.post(f"/api/tasks/{task.id}/respond", json=answer).status_code == 200

    reader.see("question-submit").click()

    expect(reader.see("toast")).to_contain_text("Your answer came too late")
    expect(reader.see("answer-unsent").get_by_role("textbox")).to_have_value("A long answer, with reasons.")
    reader.see("answer-discard").click()
    expect(reader.see("answer-unsent")).to_have_count(0)


def test_what_was_written_beside_an_answer_is_dropped_with_it(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    question = a_question(task)
    put(Question, question.id, options=["This", "That"])
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    reader.see("question-answer").fill("Neither")

    reader.see("question-option").first.click()

    expect(reader.see("question")).to_have_count(0)
    expect(reader.see("answer-unsent")).to_have_count(0)


def test_who_signs_out_leaves_no_comment_on_a_line_behind(reader: PageReader, plain_world: World) -> None:
    project, task = _reviewed(reader, plain_world)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}/review")
    reader.page.locator("td.nums[tabindex]").last.focus()
    reader.page.keyboard.press("Enter")
    reader.see("diff-comment").fill("A secret")
    assert any("A secret" in kept for kept in reader.page.evaluate(KEPT))

    reader.see("logout").click()

    expect(reader.see("login-username")).to_be_visible()
    assert not any("A secret" in kept for kept in reader.page.evaluate(KEPT))


def test_a_comment_on_a_line_outlives_the_session(reader: PageReader, plain_world: World) -> None:
    project, task = _reviewed(reader, plain_world)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}/review")
    reader.page.locator("td.nums[tabindex]").last.focus()
    reader.page.keyboard.press("Enter")
    reader.see("diff-comment").fill("Look here")

    _sign_in_again(reader, plain_world)

    expect(reader.see("diff-comment")).to_have_value("Look here")


def test_a_draft_says_that_what_it_depends_on_was_cancelled(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    first = plain_world.task(project, "Lay the ground")
    reader.open(f"#/projects/{project.id}/tasks")
    reader.see("task-new").click()
    reader.see("task-title").fill("Build on it")
    dialog = reader.page.locator("dialog")
    dialog.locator("summary").click()
    dialog.get_by_label("Lay the ground").check()
    reader.page.keyboard.press("Escape")
    assert plain_world.client.post(f"/api/tasks/{first.id}/cancel").status_code == 200
    reader.page.reload()
    reader.see("task-new").click()
    cancelled = dialog.get_by_label("Lay the ground · Cancelled")

    expect(cancelled).to_be_checked()
    cancelled.click()
    expect(cancelled).to_have_count(0)
    reader.see("task-create").click()

    expect(reader.see("task-create")).to_have_count(0)
    (made,) = all_of(Task, Task.title == "Build on it")
    assert made.state == "backlog"


@pytest.mark.parametrize(("button", "field"), [("task", "task-title"), ("tasks", "tasks-titles")])
def test_a_new_task_is_not_changed_while_it_is_being_sent(
    reader: PageReader, plain_world: World, button: str, field: str
) -> None:
    project = plain_world.project()
    reader.open(f"#/projects/{project.id}/tasks")
    held: list[Route] = []
    reader.page.route("**/api/tasks", lambda route: held.append(route))
    reader.see(f"{button}-new").click()
    reader.see(field).fill("Greet")
    with reader.page.expect_request("**/api/tasks"):
        reader.see(f"{button}-create").click()

    for one in reader.page.locator("dialog :is(textarea, input:not([type=file], [type=checkbox]))").all():
        expect(one).not_to_be_editable()
    for one in reader.page.locator("dialog :is(select, [type=file], [type=checkbox])").all():
        expect(one).to_be_disabled()
    held[0].fulfill(status=400, json={"error": "Validation error", "details": {"field": "title", "message": "No"}})
    expect(reader.see(field)).to_be_editable()
    expect(reader.see(field)).to_have_value("Greet")


def test_a_pending_comment_that_could_not_be_removed_is_told(reader: PageReader, plain_world: World) -> None:
    project, task = _reviewed(reader, plain_world)
    older = {"path": "x.py", "line": 1, "side": "new", "commitSha": OTHER_SHA, "body": "Look"}
    assert plain_world.client.post(f"/api/tasks/{task.id}/review/comments", json=older).status_code == 201

    def refuse(route: Route, request: Request) -> None:
        if request.method == "DELETE":
            route.fulfill(status=409, json={"error": "Conflict", "details": {"message": "It is being submitted."}})
        else:
            route.fallback()

    reader.page.route(f"**/api/tasks/{task.id}/review/comments/*", refuse)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}/review")

    reader.page.locator(".note.others").get_by_role("button", name="Remove").click()

    expect(reader.see("toast")).to_contain_text("It is being submitted.")


def _reviewed(reader: PageReader, world: World) -> tuple[Project, Task]:
    """A task to be reviewed, with a change of one line."""
    project = world.project()
    task = world.task(project, state="ready_to_test")
    put(Task, task.id, head_sha=SHA, branch_name="task-1")
    reader.page.route(f"**/api/tasks/{task.id}/diff", lambda route: route.fulfill(json=DIFF))
    return project, task


def _sign_in_again(reader: PageReader, world: World) -> None:
    reader.page.evaluate(END_SESSION)
    expect(reader.see("login-username")).to_be_visible()
    reader.page.evaluate(SIGN_IN, log_in(world.client, world.max.username))
    expect(reader.see("who")).to_be_visible()


def test_what_is_refused_after_its_form_was_left_is_told(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}/work")
    held: list[Route] = []
    path = f"**/api/tasks/{task.id}/comments"
    reader.page.route(path, lambda route: held.append(route))
    reader.see("comment-body").fill("Please mind the gap.")
    with reader.page.expect_request(path):
        reader.see("comment-submit").click()

    reader.page.evaluate("() => (location.hash = '#/account')")
    expect(reader.see("comment-body")).to_have_count(0)
    held[0].fulfill(status=409, json={"error": "conflict", "details": {"message": "the task is gone"}})

    expect(reader.see("toast")).to_contain_text("the task is gone")
