"""What the page says of tasks that ended, whatever the column: none vanishes, and each says why."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from common.events import DURABLE
from common.models import Run, Task, TaskGroup
from common.services.tasks.lifecycle import record_update
from common.states import Priority
from common.transaction import Transaction, transactional
from tests.e2e.browser import stopped_clock
from tests.web.made import a_live_run, a_question, changes_files
from tests.web.page_reader import ORIGIN, PageReader
from tests.web.world import World, all_of, put

pytestmark = pytest.mark.slow

LOAD_INBOX = "async () => (await import('/static/app/inbox.mjs')).loadInbox()"
"""What a live message would make the page do."""


@pytest.fixture
def reader(source_reader: PageReader) -> PageReader:
    return source_reader


def test_a_failed_task_is_on_the_board_and_its_card_says_why(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project, state="failed")
    put(Task, task.id, error="given up after 3 lost runs; the last one: no driver knows prose")

    reader.open()

    failed = reader.see("board-column-failed")
    expect(failed.get_by_test_id("task-card")).to_contain_text("no driver knows prose")
    expect(reader.page.get_by_text("No tasks yet")).to_have_count(0)


def test_cancelled_tasks_are_said_to_be_there_when_they_are_all(reader: PageReader, plain_world: World) -> None:
    plain_world.task(plain_world.project(), state="cancelled")

    reader.open()

    expect(reader.page.get_by_text("All tasks are cancelled")).to_be_visible()
    reader.see("board-ended").click()
    expect(reader.see("board-column-cancelled").get_by_test_id("task-card")).to_have_count(1)


def test_a_task_that_fails_is_told_with_the_reason(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project, state="in_progress")
    reader.open()
    expect(reader.see("task-card")).to_have_count(1)
    put(Task, task.id, state_="failed", phase_=None, error="no driver knows prose")

    reader.hear("task:status_changed", project.id, taskId=task.id, oldState="in_progress", newState="failed")

    expect(reader.see("toast").filter(has_text="no driver knows prose")).to_be_visible()


def test_a_project_that_somebody_else_makes_appears_by_itself(reader: PageReader, plain_world: World) -> None:
    plain_world.project()
    reader.page.clock.install()
    reader.open()
    choice = reader.page.get_by_label("Project", exact=True).locator("option")
    expect(choice).to_have_count(1)
    plain_world.project("Later")

    reader.page.clock.run_for(31_000)

    expect(choice.filter(has_text="Later")).to_have_count(1)


def test_the_board_stays_that_of_its_project_when_somebody_else_makes_one(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project("Shop")
    reader.page.clock.install()
    reader.open("#/")
    reader.see("task-new").click()
    reader.see("task-title").fill("Greet")
    plain_world.project("Later")

    reader.page.clock.run_for(31_000)

    expect(reader.page.get_by_label("Project", exact=True).locator("option")).to_have_count(2)
    expect(reader.see("project-select")).to_have_value(project.id)
    expect(reader.see("task-title")).to_have_value("Greet")


def test_views_that_are_saved_in_two_windows_are_all_kept(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    reader.open(f"#/projects/{project.id}/tasks?priority=high")
    other = reader.new_tab()
    other.goto(f"{ORIGIN}/#/projects/{project.id}/tasks?mine=true")
    saved = other.get_by_test_id("saved-view")
    expect(other.get_by_test_id("view-name")).to_be_visible()

    reader.see("view-name").fill("Soon")
    reader.see("view-name").press("Enter")
    expect(saved).to_have_text(["Soon"])
    other.get_by_test_id("view-name").fill("My own")
    other.get_by_test_id("view-name").press("Enter")

    expect(saved).to_have_text(["Soon", "My own"])
    expect(reader.see("saved-view")).to_have_text(["Soon", "My own"])


def test_a_run_at_work_is_not_said_to_be_prepared(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project, state="in_progress")
    put(Task, task.id, phase_="working")
    run = a_live_run(task)
    put(Run, run.id, state_="preparing")
    reader.page.clock.install()
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    expect(reader.see("run-state")).to_have_text("Preparing")

    put(Run, run.id, state_="running")
    reader.page.clock.run_for(4000)

    expect(reader.see("run-state")).to_have_text("Running")


def test_rounds_that_no_run_has_begun_are_not_counted(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project, state="needs_input")
    put(Task, task.id, round=4, refusals=3)

    reader.open(f"#/projects/{project.id}/tasks/{task.id}")

    expect(reader.see("sent-back").nth(1)).to_have_text("Sent back 3 times")
    expect(reader.page.get_by_text("Round 4")).to_have_count(0)


def test_the_title_of_the_tab_names_what_is_open(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project, "Greet in Spanish")

    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    expect(reader.page).to_have_title("Greet in Spanish · Demo · AiWorker")

    reader.page.get_by_role("button", name="Close").click()
    expect(reader.page).to_have_title("Demo · AiWorker")


@pytest.mark.parametrize("place", ["nonsense", "projects/{id}/nonsense"])
def test_an_address_of_nothing_is_told_and_leads_back(reader: PageReader, plain_world: World, place: str) -> None:
    project = plain_world.project()

    reader.open(f"#/{place.format(id=project.id)}")

    expect(reader.see("not-found")).to_be_visible()
    expect(reader.see("board-column-backlog")).to_have_count(0)
    reader.page.get_by_role("link", name="Back to the board").click()
    expect(reader.page.get_by_role("heading", name="Demo")).to_be_visible()


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


def test_the_filter_is_still_there_after_a_task_had_the_page_to_itself(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    plain_world.task(project, "Greet", labels=["ui"])
    plain_world.task(project, "Unrelated")
    reader.open(f"#/projects/{project.id}/tasks?label=ui")
    for leave in (lambda: reader.page.keyboard.press("Escape"), lambda: reader.see("task-board").click()):
        reader.see("task-card").click()
        reader.see("task-open").click()
        expect(reader.see("task-board")).to_be_visible()

        leave()

        expect(reader.page).to_have_url(re.compile(r"/tasks/[-0-9a-f]+\?label=ui$"))
        expect(reader.see("task-card")).to_have_text([re.compile("Greet")])


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


def test_the_activity_of_a_project_is_told_and_filtered(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project, "Greet", state="ready_to_test")
    _change_often(task.id)
    plain_world.client.post(f"/api/tasks/{task.id}/approve", json={})
    reader.open(f"#/projects/{project.id}/tasks")
    reader.page.get_by_role("link", name="Activity").click()

    told = reader.see("activity-event")
    expect(told).to_have_count(100)
    expect(told.first).to_contain_text("maxim moved it from Ready to test to Approved · Greet")
    older = re.compile("/api/events.*beforeSeq")
    reader.page.route(older, lambda route: route.fulfill(status=500, json={"error": "Internal error"}))
    reader.see("load-more").click()
    expect(reader.page.get_by_role("alert")).to_contain_text("The server failed.")
    expect(told).to_have_count(100)
    reader.page.unroute(older)
    reader.see("load-more").click()
    expect(told.filter(has_text="created the task · Greet")).to_have_count(1)
    reader.see("activity-type").select_option("project:status_changed")
    expect(told.first).to_contain_text("the project")
    expect(reader.page).to_have_url(re.compile(r"activity\?type=project%3Astatus_changed$"))
    reader.see("activity-type").select_option("task:created")
    told.get_by_role("link", name="Greet").click()
    expect(reader.see("task-state")).to_have_text("Approved")
    listed = "async () => (await import('/static/app/parts/event-words.mjs')).EVENTS"
    assert {kind.name for kind in DURABLE} == set(reader.page.evaluate(listed))


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


def test_the_browser_tells_of_what_is_new_only_when_it_was_asked_to(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    told = """
    window.told = [];
    document.hasFocus = () => false;
    window.Notification = class {
      static permission = 'default';
      static async requestPermission() { this.permission = 'granted'; }
      constructor(title, { body, tag }) { window.told.push([title, body, tag]); }
    };
    """
    reader.page.add_init_script(told)
    reader.open("#/inbox")
    expect(reader.page.get_by_text("Nothing waits for you")).to_be_visible()
    plain_world.task(project, "Unheard", state="failed")
    reader.page.evaluate(LOAD_INBOX)
    expect(reader.see("inbox-item")).to_have_count(1)
    assert reader.page.evaluate("told") == []

    reader.see("notifications").click()
    expect(reader.see("notifications")).to_have_attribute("aria-pressed", "true")
    asked = a_question(plain_world.task(project, "Greet"), "In which language?")
    reader.page.evaluate(LOAD_INBOX)
    reader.page.evaluate(LOAD_INBOX)

    wanted = ["A question · Demo", "Greet\nIn which language?", f"question:{asked.id}"]
    assert reader.page.evaluate("told") == [wanted]


@transactional
def _change_often(tx: Transaction, task_id: str) -> None:
    """A hundred events, in one transaction."""
    task = tx.lock(Task, task_id)
    for _ in range(100):
        record_update(tx, task, "notes")
