"""What somebody writes on the page stays until it is sent, and what could not be done is told."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from common.models import Project, Task
from common.values.states import Priority
from tests.builders import log_in
from tests.web.page_reader import PageReader
from tests.web.world import SHA, World, get, put

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
END_SESSION = "async () => (await import('/static/app/server/session.mjs')).clearTokens()"
"""What the page does once its tokens are refused."""
KEPT = "() => Object.values(sessionStorage)"
SIGN_IN = "async tokens => (await import('/static/app/server/session.mjs')).storeTokens(tokens)"


@pytest.fixture
def reader(source_reader: PageReader) -> PageReader:
    return source_reader


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
