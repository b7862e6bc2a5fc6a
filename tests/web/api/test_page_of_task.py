"""A task's panel and its page: what follows in each state, the tabs, the rounds of the work, pictures in texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Locator, Route, expect

from common.models import Deployment, Project, Run, Task, TaskGroup
from common.values.states import Environment, Role
from tests.web.factories import a_question
from tests.web.page_reader import PageReader
from tests.web.world import SHA, World, all_of, put

pytestmark = pytest.mark.slow

# A PNG of 16 by 16 pixels of one colour.
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000100000001008020000009091683600000017494441547801636060f8cf40120a4635300c8aa0"
    "0000f95a01ff3a4c2b9e0000000049454e44ae426082"
)
PASTE = """(field, bytes) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], "image.png", { type: "image/png" }));
  field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
}"""


def paste(field: Locator) -> None:
    """Paste a picture, and wait until it is sent and the text refers to it."""
    field.evaluate(PASTE, list(PICTURE))
    expect(field).to_have_value(re.compile(r"!\[image\.png\]\(<image(-\d)?\.png>\)"))


class Table:
    """A task for each state, and what its panel says that follows."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.project = world.project()
        self.tasks = 0

    def task(self, state: str = "backlog", *, new: dict[str, Any] | None = None, **values: Any) -> Task:
        self.tasks += 1
        task = self.world.task(self.project, f"Task {self.tasks}", state=state, **(new or {}))
        if values:
            put(Task, task.id, **values)
        return task

    def grouped(self, status: str) -> Task:
        task = self.task("approved")
        group = self.world.group(self.project, [task.id], name=f"Sprint {self.tasks}")
        put(TaskGroup, group["id"], state_=status)
        return task

    def delivered(self, **values: Any) -> Task:
        """In production since noon of a day long ago."""
        task = self.grouped("production")
        put(Task, task.id, state_="production", **values)
        (group,) = all_of(TaskGroup, TaskGroup.name == f"Sprint {self.tasks}")
        deployment = self.world.deployment(
            self.project, Environment.PRODUCTION, task_group_id=group.id, is_live=False, state="superseded"
        )
        put(Deployment, deployment, finished_at=datetime(2001, 2, 3, 12, tzinfo=UTC))
        return task

    def asking(self) -> Task:
        task = self.task()
        a_question(task)
        return task

    def without_agents(self) -> Iterator[tuple[Task, str, str]]:
        yield self.task(), "driver", "Waits for an agent: none is there"

    def waiting(self) -> Iterator[tuple[Task, str, str]]:
        first = self.task()
        yield first, "agent", "Waits for a free agent"
        yield self.task(new={"depends_on": [first.id]}), "after", "Waits for “Task 2”"
        yield self.task(driver="claude"), "driver", "Waits for an agent with driver claude"
        yield self.task(required_capabilities=["gpu"]), "agent", "Waits for a free agent that has gpu"
        yield self.task("in_progress", phase_="queued"), "agent", "Waits for a free agent to go on"
        yield self.task("in_progress", phase_="working"), "watch", "An agent works on it"
        yield self.task("in_progress", phase_="verifying"), "verifying", "The platform checks what the agent pushed"
        yield self.task("in_progress", phase_="held", held_by="vera"), "held", "vera works on its branch by hand"
        cap = {"phase_": "parked", "parked_code": "cap", "parked_reason": "at its cap"}
        yield self.task("in_progress", **cap), "cap", "A cap is reached: raise it, or go on later"
        yield self.task("in_progress", **cap | {"parked_code": "limit"}), "parked", "Its model takes no calls now"
        yield self.asking(), "answer", "Answer the question"

    def done(self) -> Iterator[tuple[Task, str, str]]:
        self.task("approved")
        yield self.task("ready_to_test"), "review", "Review it"
        yield self.task("approved"), "group", "Add to a group (2 approved)"
        yield self.grouped("merging"), "merging", "merged and tested now"
        yield self.grouped("merged"), "stage", "deploy to staging"
        yield self.grouped("deploying_staging"), "staging", "on its way to staging"
        yield self.grouped("staging"), "deliver", "deploy to production"
        yield self.grouped("deploying_production"), "delivering", "on its way to production"
        yield self.grouped("failed"), "broken", "failed: see why"
        yield self.delivered(), "live", "In production since 2/3/2001"
        yield self.delivered(rolled_back_at=datetime.now(UTC)), "fix", "Rolled back: a task labelled fix is needed"
        yield self.task("failed", error="no more tries"), "retry", "Try again"
        yield self.task("cancelled"), "over", "Cancelled: nothing follows"


def test_every_state_says_what_follows(reader: PageReader, plain_world: World) -> None:
    table = Table(plain_world)

    def check(rows: Iterator[tuple[Task, str, str]]) -> None:
        for task, key, text in rows:
            reader.open(f"#/projects/{table.project.id}/tasks/{task.id}")
            expect(reader.page.locator(".panel h1")).to_have_text(task.title)
            expect(reader.see("next-step")).to_contain_text(text)
            assert reader.see("next-step").get_attribute("data-step") == key, text

    check(table.without_agents())
    plain_world.agent()
    check(table.waiting())
    check(table.done())


def test_the_next_step_is_done_where_it_is_said(reader: PageReader, plain_world: World) -> None:
    table = Table(plain_world)
    project, asking = table.project, table.asking()
    reader.open(f"#/projects/{project.id}/tasks/{asking.id}")
    reader.see("next-step-go").click()
    expect(reader.see("question-answer")).to_be_focused()

    reader.open(f"#/projects/{project.id}/tasks/{table.task('ready_to_test').id}/details")
    reader.see("next-step-go").click()
    expect(reader.page).to_have_url(re.compile("/review$"))
    expect(reader.see("next-step")).to_have_text("Review it", use_inner_text=True)
    expect(reader.see("next-step-go")).to_have_count(0)
    expect(reader.see("task-reject")).to_be_visible()
    reader.see("task-approve").click()
    expect(reader.see("next-step-go")).to_have_text("Add to a group (1 approved)")
    reader.see("next-step-go").click()
    reader.see("group-name").fill("Sprint 9")
    reader.see("group-create").click()
    expect(reader.see("group-status")).to_be_visible()
    (group,) = all_of(TaskGroup, TaskGroup.name == "Sprint 9")

    put(TaskGroup, group.id, state_="merged")
    (approved,) = all_of(Task, Task.state_ == "approved")
    reader.open(f"#/projects/{project.id}/tasks/{approved.id}/review")
    expect(reader.see("next-step-go")).to_have_text("In group Sprint 9: deploy to staging")
    reader.see("next-step-go").click()
    expect(reader.see("group-deploy-staging")).to_be_visible()

    taken = table.delivered(rolled_back_at=datetime.now(UTC))
    reader.open(f"#/projects/{project.id}/tasks/{taken.id}")
    reader.see("next-step-go").click()
    expect(reader.page.locator(".panel h1")).to_have_text(f"Fix or revert “{taken.title}”")
    (fix,) = all_of(Task, Task.title.contains("Fix or revert"))
    assert fix.labels == ["fix"]
    reader.open(f"#/projects/{project.id}/tasks/{taken.id}")
    expect(reader.see("next-step")).to_contain_text(f"“{fix.title}” is to fix it")


def test_who_may_not_act_is_told_whom_it_waits_for(
    at_the_page: Callable[[str, Role], PageReader], plain_world: World
) -> None:
    table, viewer = Table(plain_world), at_the_page("vic", Role.VIEWER)
    for task, text in (
        (table.task("ready_to_test"), "Waits for the review of a maintainer"),
        (table.task("approved"), "Waits for a maintainer to put it into a group"),
        (table.asking(), "Waits for the answer of a member of the project"),
        (table.grouped("merged"), "waits to be deployed to staging"),
    ):
        viewer.open(f"#/projects/{table.project.id}/tasks/{task.id}")
        expect(viewer.see("next-step")).to_contain_text(text)
        expect(viewer.see("task-approve")).to_have_count(0)


def test_a_page_shows_the_work_round_by_round(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project(has_repository=True)
    task = plain_world.task(project, "Greet", description="Say **hola** to whoever comes.")
    agent, _agent_id = plain_world.agent()
    run, claim = plain_world.claim(agent)
    lines = [{"kind": "text", "message": f"Word {number}."} for number in range(300)]
    for at, failed in ((10, "call-1"), (200, "call-2")):
        command = {"name": "Bash", "input": {"command": f"make {failed}"}}
        result = {"ok": False, "exitCode": 2}
        lines[at:at] = [
            {"kind": "tool", "message": "Bash", "callId": failed, "details": command},
            {"kind": "result", "message": f"{failed} broke", "callId": failed, "details": result},
        ]
    numbered = [{"level": "info", "number": number, **line} for number, line in enumerate(lines, 1)]
    run.post(f"/api/runner/runs/{claim['run']['id']}/logs", json={"lines": numbered})
    put(Run, claim["run"]["id"], state_="ended", outcome="completed", live_task_id=None, finished_at=datetime.now(UTC))
    put(Task, task.id, state_="ready_to_test", phase_=None, head_sha=SHA, assigned_agent_id=None)

    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    expect(reader.see("task-last-words")).to_have_text("Word 299.")
    reader.page.keyboard.press("o")
    expect(reader.page).to_have_url(re.compile("/review$"))
    expect(reader.page).to_have_title(re.compile("Greet · Demo · AiWorker$"))
    reader.see("task-reject").click()
    reader.see("reject-reason").fill("Say it louder ")
    paste(reader.see("reject-reason"))
    reader.see("reject-submit").click()
    expect(reader.see("task-state")).to_have_text("In progress")

    reader.see("task-tab-work").click()
    first, second = (reader.page.locator(f'[data-testid="chapter"][data-round="{number}"]') for number in (1, 2))
    asked = second.get_by_test_id("chapter-asked")
    expect(asked).to_contain_text("Say it louder")
    picture = asked.get_by_test_id("inline-picture")
    expect(picture).to_have_attribute("src", re.compile("^data:image/png"))
    assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 16
    expect(first.get_by_test_id("chapter-asked")).to_have_count(0)
    first.locator("summary").first.click()
    expect(first.get_by_test_id("chapter-asked").locator("strong")).to_have_text("hola")

    entries = first.get_by_test_id("transcript-entry")
    first.get_by_role("log").evaluate("(box) => box.scrollIntoView({ block: 'end' })")
    expect(entries.filter(has_text="Word 299.")).to_be_in_viewport()
    expect(reader.see("transcript-count")).to_have_text("304 entries")
    for failed in ("call-1", "call-2", "call-1"):
        reader.see("transcript-next-error").click()
        found = first.locator(".entry.found")
        expect(found).to_contain_text(f"make {failed}")
        expect(found).to_be_in_viewport()
        expect(found.get_by_test_id("call-output")).to_have_text(f"{failed} broke")
    reader.see("transcript-search").fill("Word 123")
    expect(entries).to_have_count(1)

    reader.see("comment-body").fill("As in ")
    paste(reader.see("comment-body"))
    reader.see("comment-submit").click()
    expect(second.get_by_test_id("inline-picture")).to_have_count(2)
    reader.see("task-tab-details").click()
    expect(reader.see("attachment")).to_have_count(1)
    expect(reader.see("task-people")).to_contain_text("maxim wrote it, sent it back, commented", use_inner_text=True)
    expect(reader.see("task-runs").locator("tbody tr")).to_have_count(1)
    expect(reader.page.locator(".timeline")).to_contain_text("created the task")
    reader.page.keyboard.press("Escape")
    expect(reader.page).to_have_url(re.compile(f"/tasks/{task.id}$"))
    expect(reader.see("task-card")).to_have_count(1)


def _beat(agent: FlaskClient) -> None:
    """As agents do all the time: who is silent for a minute, as long as a page may take, gets no run."""
    assert agent.post("/api/runner/heartbeat", json={"runIds": []}).status_code == 200


def _write_task_with_a_picture(reader: PageReader, project: Project) -> None:
    reader.open(f"#/projects/{project.id}/tasks")
    reader.see("task-new").click()
    reader.see("task-title").fill("With a picture")
    paste(reader.see("task-description"))


def test_no_agent_begins_a_new_task_before_its_files_are_there(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project(has_repository=True)
    agent, _agent_id = plain_world.agent()
    held: list[Route] = []
    reader.page.route("**/attachments?*", lambda route: held.append(route))
    _write_task_with_a_picture(reader, project)
    with reader.page.expect_request("**/attachments?*"):
        reader.see("task-create").click()
    expect(reader.see("task-card")).to_have_count(1)

    _beat(agent)
    plain_world.claim_nothing(agent)
    with reader.page.expect_response("**/resume"):
        held[0].fallback()

    _beat(agent)
    _run, claim = plain_world.claim(agent)
    assert [one["name"] for one in claim["attachments"]] == ["image.png"]
