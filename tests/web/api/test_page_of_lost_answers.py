"""What somebody does at the page is done once, though its answer did not arrive and the request is sent again."""

from __future__ import annotations

import pytest
from playwright.sync_api import Request, Route, expect

from common.models import Comment, Task
from tests.web.page_reader import PageReader
from tests.web.world import World, all_of

pytestmark = pytest.mark.slow

A_WHILE_MS = 16 * 60_000
UNDER_WAY = {"field": "Idempotency-Key", "message": "the first request with this key is still under way"}


def write_task(reader: PageReader, project_id: str) -> None:
    reader.open(f"#/projects/{project_id}/tasks")
    reader.see("task-new").click()
    reader.see("task-title").fill("Greet in Spanish")
    reader.see("task-create").click()


@pytest.mark.parametrize("status", [502, 504])
def test_a_task_is_created_once_though_a_proxy_gave_up_waiting(
    reader: PageReader, plain_world: World, status: int
) -> None:
    project = plain_world.project()

    def give_up(route: Route, request: Request) -> None:
        if request.method == "POST":
            reader.send(request)
            route.fulfill(status=status, content_type="text/html", body="<h1>Bad gateway</h1>")
        else:
            route.fallback()

    reader.page.route("**/api/tasks", give_up)
    write_task(reader, project.id)
    expect(reader.page.get_by_role("alert")).to_contain_text("The server failed")
    reader.page.unroute("**/api/tasks")

    reader.see("task-create").click()

    expect(reader.see("task-create")).to_have_count(0)
    expect(reader.see("task-card")).to_have_count(1)
    assert len(all_of(Task)) == 1


def test_a_request_that_is_still_under_way_is_asked_about_again(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    keys = []

    def answer(route: Route, request: Request) -> None:
        if request.method != "POST":
            return route.fallback()
        keys.append(request.headers["idempotency-key"])
        if len(keys) == 1:
            reader.send(request)
            return route.abort()
        if len(keys) == 2:
            return route.fulfill(status=409, json={"error": "Conflict", "details": UNDER_WAY})
        return route.fallback()

    reader.page.route("**/api/tasks", answer)

    write_task(reader, project.id)

    expect(reader.see("task-create")).to_have_count(0)
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert len(all_of(Task)) == 1


def test_of_several_tasks_those_are_kept_as_a_draft_that_are_not_written_yet(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    reader.open(f"#/projects/{project.id}/tasks")
    reader.see("tasks-new").click()
    reader.see("tasks-titles").fill("First\nSecond\nThird")
    asked: list[Route] = []

    def let_one_through(route: Route) -> None:
        if route.request.method == "POST":
            asked.append(route)
        if len(asked) < 2:
            route.fallback()

    reader.page.route("**/api/tasks", let_one_through)
    reader.see("tasks-create").click()
    expect(reader.see("task-card")).to_have_count(1)

    reader.page.reload()
    reader.see("tasks-new").click()

    expect(reader.see("tasks-titles")).to_have_value("Second\nThird")


def _create_two_and_open_again(reader: PageReader) -> None:
    """Close the dialog while its first task is sent, and open it again."""
    reader.see("tasks-new").click()
    reader.see("tasks-titles").fill("First\nSecond")
    with reader.page.expect_request("**/api/tasks"):
        reader.see("tasks-create").click()
    reader.page.keyboard.press("Escape")
    reader.see("tasks-new").click()


def test_several_tasks_are_created_once_though_their_dialog_is_opened_again_meanwhile(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    reader.open(f"#/projects/{project.id}/tasks")
    held: list[Route] = []
    reader.page.route(
        "**/api/tasks", lambda route: held.append(route) if route.request.method == "POST" else route.fallback()
    )
    _create_two_and_open_again(reader)

    expect(reader.page.get_by_role("dialog").get_by_text("Loading…")).to_be_visible()
    expect(reader.see("tasks-create")).to_have_count(0)
    reader.page.unroute("**/api/tasks")
    held[0].fallback()
    expect(reader.page.get_by_role("dialog")).to_have_count(0)
    expect(reader.see("task-card")).to_have_count(2)
    assert [one.title for one in all_of(Task)] == ["First", "Second"]


def test_titles_that_were_refused_after_their_dialog_was_closed_are_in_the_one_that_was_opened_meanwhile(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    reader.open(f"#/projects/{project.id}/tasks")
    held: list[Route] = []
    refusal = {"error": "invalid", "details": {"field": "title", "message": "No more tasks"}}

    def answer(route: Route) -> None:
        if route.request.method != "POST":
            route.fallback()
        elif held:
            route.fulfill(status=400, json=refusal)
        else:
            held.append(route)

    reader.page.route("**/api/tasks", answer)
    _create_two_and_open_again(reader)

    held[0].fallback()

    expect(reader.see("tasks-titles")).to_have_value("Second")
    expect(reader.see("toast")).to_contain_text("No more tasks")
    assert [one.title for one in all_of(Task)] == ["First"]


@pytest.mark.parametrize(("is_heard", "comments"), [(True, 2), (False, 1)])
def test_what_is_done_again_long_after_the_server_was_heard_again_is_another_act(
    source_reader: PageReader, plain_world: World, is_heard: bool, comments: int
) -> None:
    reader = source_reader
    project = plain_world.project()
    task = plain_world.task(project)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    reader.see("comment-body").fill("Please mind the gap.")

    def give_up(route: Route, request: Request) -> None:
        is_act = request.method == "POST"
        if is_act:
            reader.send(request)
        if is_act or not is_heard:
            route.fulfill(status=504, content_type="text/html", body="<h1>Gateway timeout</h1>")
        else:
            route.fallback()

    reader.page.route("**/api/**", give_up)
    reader.see("comment-submit").click()
    expect(reader.page.get_by_role("alert").first).to_contain_text("The server failed")
    # What a socket would bring: the page looks at the task again.
    with reader.page.expect_response(f"**/api/tasks/{task.id}"):
        reader.hear_of_state(project.id, task.id, "backlog")
    reader.page.evaluate("ms => { const now = Date.now; Date.now = () => now() + ms; }", A_WHILE_MS)
    reader.page.unroute("**/api/**")

    reader.see("comment-submit").click()

    expect(reader.see("comment-body")).to_have_value("")
    assert [one.body for one in all_of(Comment)] == ["Please mind the gap."] * comments
