"""What the page says of tasks that ended, whatever the column: none vanishes, and each says why."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from common.models import Task, TaskGroup
from common.values.states import Priority
from tests.e2e.browser import stopped_clock
from tests.web.factories import a_question, changes_files
from tests.web.page_reader import PageReader
from tests.web.world import World, all_of, put

pytestmark = pytest.mark.slow

LOAD_INBOX = "async () => (await import('/static/app/state/inbox.mjs')).loadInbox()"
"""What a live message would make the page do."""


@pytest.fixture
def reader(source_reader: PageReader) -> PageReader:
    return source_reader


def test_what_needs_a_person_is_counted_on_the_tab_and_listed(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    asking = plain_world.task(project, "Greet")
    a_question(asking, "In which language?")
    icon = reader.page.locator('link[rel="icon"]')

    reader.open(f"#/projects/{project.id}/tasks")
    expect(reader.page).to_have_title("(1) Demo · AiWorker")
    expect(icon).to_have_attribute("href", re.compile("^data:image/svg"))
    expect(reader.see("inbox-count")).to_have_text("1")
    plain_world.task(plain_world.project("Other"), "Look at me", state="ready_to_test")
    reader.page.get_by_role("link", name="Needs you").click()
    expect(reader.page).to_have_title("(2) Needs you · Demo · AiWorker")
    expect(reader.see("inbox-review")).to_contain_text("Other")

    reader.see("inbox-question").get_by_text("In which language?").click()
    reader.see("question-answer").fill("Spanish")
    reader.see("question-submit").click()
    expect(reader.see("question")).to_have_count(0)
    reader.page.evaluate(LOAD_INBOX)
    expect(reader.see("inbox-count")).to_have_text("1")


def test_cards_say_how_tasks_stand_and_the_filter_is_in_the_address(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    first = plain_world.task(project, "Greet", labels=["ui"])
    a_question(first, "In which language?")
    plain_world.task(project, "Greet again", depends_on=[first.id], labels=["ui"], priority=Priority.HIGH)
    other = plain_world.task(project, "Unrelated, by its words", state="approved")
    for task in (first, other):
        changes_files(task, "a.py", "b.py")
    reader.open(f"#/projects/{project.id}/tasks?label=ui")

    columns = reader.page.locator(".column")
    expect(columns.first).to_have_attribute("data-testid", "board-column-needs_input")
    expect(reader.see("task-card")).to_have_count(2)
    expect(reader.see("card-question")).to_have_text("In which language?")
    expect(reader.see("card-after")).to_have_text("After Greet")
    expect(reader.see("card-overlap")).to_have_text("Touches 2 files of “Unrelated, by its w…”")
    whole = "Changes 2 files that “Unrelated, by its words” changes, too"
    expect(reader.see("card-overlap")).to_have_attribute("title", whole)
    reader.see("filter-priority").select_option("high")
    expect(reader.see("task-card")).to_have_count(1)
    expect(reader.page).to_have_url(re.compile(r"\?label=ui&priority=high$"))
    reader.see("view-name").fill("Hot")
    reader.page.keyboard.press("Enter")
    reader.see("task-card").click()
    expect(reader.page).to_have_url(re.compile(r"/tasks/[-0-9a-f]+\?label=ui&priority=high$"))
    reader.page.get_by_role("button", name="Close").click()
    expect(reader.see("task-card")).to_have_count(1)

    reader.see("filter-clear").click()
    expect(reader.see("task-card")).to_have_count(3)
    reader.see("task-search").fill("unrel")
    expect(reader.see("task-card")).to_have_text([re.compile("Unrelated")])
    expect(reader.page).to_have_url(re.compile(r"\?q=unrel$"))
    reader.see("saved-view").click()
    expect(reader.see("task-card")).to_have_text([re.compile("Greet again")])
    expect(reader.see("task-search")).to_have_value("")
    reader.page.get_by_role("button", name="Forget the view Hot").click()
    expect(reader.see("saved-view")).to_have_count(0)


def test_several_tasks_are_written_and_handled_at_once(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    ready = [plain_world.task(project, f"Ready {number}", state="ready_to_test") for number in (1, 2)]
    reader.open(f"#/projects/{project.id}/tasks")
    reader.see("tasks-new").click()
    reader.see("tasks-titles").fill("- First\n\n* Second\nThird")
    reader.see("tasks-labels").fill("ui")
    reader.see("tasks-create").click()
    backlog = reader.see("board-column-backlog").get_by_test_id("task-card")
    expect(backlog).to_have_count(3)
    assert [(task.title, task.labels) for task in all_of(Task, Task.state_ == "backlog")] == [
        (title, ["ui"]) for title in ("First", "Second", "Third")
    ]

    for title in ("First", "Second"):
        backlog.filter(has_text=title).focus()
        reader.page.keyboard.press("x")
    reader.see("selection-priority").select_option("urgent")
    expect(reader.see("selection")).to_have_count(0)
    assert {task.title for task in all_of(Task, Task.priority == int(Priority.URGENT))} == {"First", "Second"}
    for title in ("First", "Third"):
        reader.page.get_by_label(f"Select {title}").check()
    reader.see("selection-label").fill("later")
    reader.page.keyboard.press("Enter")
    expect(reader.see("selection")).to_have_count(0)
    assert {task.title for task in all_of(Task) if "later" in task.labels} == {"First", "Third"}
    reader.page.get_by_label("Select Second").check()
    reader.see("selection-cancel").click()
    reader.see("selection-cancel-confirm").click()
    expect(backlog).to_have_count(2)

    put(Task, ready[1].id, head_sha="b" * 40)
    for number in (1, 2):
        reader.page.get_by_label(f"Select Ready {number}").check()
    reader.see("selection-approve").click()
    expect(reader.see("toast").filter(has_text="“Ready 2”")).to_be_visible()
    expect(reader.see("selection")).to_contain_text("1 selected")
    reader.page.keyboard.press("Escape")
    reader.page.get_by_label("Select Ready 1").check()
    reader.see("selection-group").click()
    expect(reader.see("group-status")).to_be_visible()
    assert [group.state_ for group in all_of(TaskGroup)] == ["pending"]


def test_a_card_is_dragged_only_where_a_person_may_move_its_task(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    tasks = {
        state: plain_world.task(project, f"Was {state}", state=state)
        for state in ("failed", "ready_to_test", "backlog")
    }
    reader.open(f"#/projects/{project.id}/tasks")
    reader.page.set_viewport_size({"width": 2400, "height": 800})
    reader.see("board-ended").click()

    def drag(title: str, state: str) -> None:
        reader.see("task-card").filter(has_text=title).drag_to(reader.see(f"board-column-{state}"))

    drag("Was backlog", "approved")
    drag("Was ready_to_test", "approved")
    expect(reader.see("board-column-approved").get_by_test_id("task-card")).to_have_text([re.compile("ready_to_test")])
    drag("Was failed", "backlog")
    expect(reader.see("board-column-backlog").get_by_test_id("task-card")).to_have_count(2)
    drag("Was backlog", "cancelled")
    expect(reader.see("drop-cancel-confirm")).to_be_visible()
    with stopped_clock(reader.page):
        reader.see("drop-cancel-confirm").click()
        waits = reader.see("toast").filter(has_text="“Was backlog” will be cancelled in 5 s.")
        waits.get_by_role("button", name="Undo").click()
        expect(waits).to_have_count(0)
    drag("Was failed", "cancelled")
    reader.see("drop-cancel-confirm").click()
    expect(reader.see("toast").filter(has_text="1 task cancelled")).to_be_visible()
    expect(reader.see("board-column-cancelled").get_by_test_id("task-card")).to_have_text([re.compile("failed")])
    states = {state: all_of(Task, Task.id == task.id)[0].state_ for state, task in tasks.items()}
    assert states == {"failed": "cancelled", "ready_to_test": "approved", "backlog": "backlog"}
