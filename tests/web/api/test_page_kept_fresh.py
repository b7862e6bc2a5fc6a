"""What the open page shows when something changes: the newest, whatever the order in which answers come."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Route, WebSocketRoute, expect

from common.models import Task, User
from common.states import Role
from tests.e2e.browser import stop_clock
from tests.web.live_feed import LiveFeed
from tests.web.page_reader import ORIGIN, PageReader
from tests.web.world import World, all_of, put

pytestmark = pytest.mark.slow

ON_VIEWS = pytest.mark.parametrize(
    ("view", "event", "path", "seen"),
    [
        ("groups", "task-group:updated", "**/api/task-groups?*", "No groups yet"),
        ("tests", "test:released", "**/api/projects/*/tests", "Its tests are not known to fail."),
    ],
)


@pytest.fixture
def reader(source_reader: PageReader) -> PageReader:
    return source_reader


def test_an_older_answer_that_comes_last_does_not_move_a_card_back(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    reader.open(f"#/projects/{project.id}/tasks")
    expect(reader.see("task-card")).to_have_count(1)
    path = f"**/api/tasks/{task.id}"
    late: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if late:
            route.fallback()
        else:
            late.append(route)

    reader.page.route(path, hold_the_first)
    put(Task, task.id, state_="in_progress", phase_="verifying")
    with reader.page.expect_request(path):
        reader.hear_of_state(project.id, task.id, "in_progress")
    older = plain_world.client.get(f"/api/tasks/{task.id}").json
    put(Task, task.id, state_="ready_to_test", phase_=None)
    with reader.page.expect_response(path):
        reader.hear_of_state(project.id, task.id, "ready_to_test")

    with reader.page.expect_response(path):
        late[0].fulfill(json=older)
    reader.settle()

    expect(reader.see("board-column-ready_to_test").get_by_test_id("task-card")).to_have_count(1)


def test_a_task_that_was_just_written_stays_though_an_older_board_comes_last(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    path = "**/api/board?*"
    late: list[Route] = []
    reader.page.route(path, lambda route: late.append(route), times=1)
    with reader.page.expect_request(path) as asked:
        reader.open(f"#/projects/{project.id}/tasks")
    older = plain_world.client.get(asked.value.url.removeprefix(ORIGIN)).json
    reader.see("task-new").click()
    reader.see("task-title").fill("Greet")
    reader.see("task-create").click()
    expect(reader.see("task-create")).to_have_count(0)

    late[0].fulfill(json=older)

    expect(reader.see("task-card")).to_contain_text("Greet")


def test_a_task_that_is_opened_does_not_join_a_board_whose_search_leaves_it_out(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    task = plain_world.task(project, "Greet")
    plain_world.task(project, "Search")
    reader.open(f"#/projects/{project.id}/tasks?q=search")
    cards = reader.see("task-card")
    expect(cards).to_have_count(1)

    reader.page.evaluate("hash => { location.hash = hash }", f"#/projects/{project.id}/tasks/{task.id}?q=search")
    expect(reader.see("task-state")).to_be_visible()
    reader.settle()

    expect(cards).to_have_count(1)
    expect(cards).to_contain_text("Search")


BUSY: dict[str, Any] = {"status": 503, "headers": {"Retry-After": "1"}, "json": {"error": "Service unavailable"}}
AWAY = "away"
"""The server isn't reached."""


def _fail(reader: PageReader, path: str, how: dict[str, Any] | str, times: int) -> None:
    """The next reads of this path fail."""
    reader.page.route(path, lambda route: route.abort() if how == AWAY else route.fulfill(**BUSY | how), times=times)


@pytest.mark.parametrize("how", [AWAY, {"status": 500}, {"status": 429}], ids=["away", "500", "429"])
def test_a_task_whose_read_failed_is_read_again(
    reader: PageReader, plain_world: World, how: dict[str, Any] | str
) -> None:
    project = plain_world.project()
    task = plain_world.task(project, "Greet")
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    expect(reader.page.locator(".panel h1")).to_have_text("Greet")
    reader.settle()
    # By the card and by the panel beside it.
    _fail(reader, f"**/api/tasks/{task.id}", how, times=3)
    put(Task, task.id, title="Greet in Spanish")

    feed.tell("task:updated", project.id, feed.SEQ + 1, taskId=task.id)

    expect(reader.see("task-card")).to_contain_text("Greet in Spanish")
    expect(reader.page.locator(".panel h1")).to_have_text("Greet in Spanish")


def test_a_task_that_cannot_be_read_keeps_no_other_back(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    bad, good = (plain_world.task(project, title) for title in ("Bad", "Good"))
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/tasks")
    expect(reader.see("task-card")).to_have_count(2)
    reader.settle()
    reader.page.route(f"**/api/tasks/{bad.id}", lambda route: route.fulfill(status=500, json={}))
    put(Task, good.id, title="Better")

    for number, task in enumerate((bad, good), 1):
        feed.tell("task:updated", project.id, feed.SEQ + number, taskId=task.id)

    expect(reader.see("task-card").filter(has_text="Better")).to_have_count(1)
    expect(reader.see("toast")).to_have_count(1)


def test_lists_and_the_board_are_read_again_when_a_read_failed(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/tasks")
    expect(reader.page.get_by_text("No tasks yet")).to_be_visible()
    reader.settle()
    _fail(reader, "**/api/board?*", BUSY, times=2)
    approved = plain_world.task(project, "Greet", state="approved")
    feed.tell("resync", project.id, feed.SEQ + 1)
    expect(reader.see("task-card")).to_have_count(1)
    expect(reader.see("toast")).to_have_count(1)

    reader.page.evaluate("hash => { location.hash = hash }", f"#/projects/{project.id}/groups")
    expect(reader.page.get_by_text("No groups yet")).to_be_visible()
    reader.settle()
    _fail(reader, "**/api/task-groups?*", BUSY, times=1)
    plain_world.group(project, [approved.id])
    feed.tell("task-group:status_changed", project.id, feed.SEQ + 2)
    expect(reader.page.get_by_text("No groups yet")).to_have_count(0)


def test_activity_shows_what_happens_while_an_answer_is_under_way(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    send = _socket(reader)
    reader.open(f"#/projects/{project.id}/activity")
    told = reader.see("activity-event")
    expect(told.first).to_be_visible()
    expect(reader.see("live-status").first).to_have_attribute("data-state", "on")
    reader.settle()
    path = "**/api/events?*afterSeq*"
    late: list[Route] = []
    reader.page.route(path, lambda route: late.append(route))
    with reader.page.expect_request(path) as first:
        plain_world.task(project, "First")
        send("task:created", project.id, 101)
    older = plain_world.client.get(first.value.url.removeprefix(ORIGIN)).json
    with reader.page.expect_request(path):
        plain_world.task(project, "Second")
        send("task:created", project.id, 102)

    with reader.page.expect_response(path):
        late[0].fulfill(json=older)
    expect(told.filter(has_text="First")).to_have_count(1)
    late[1].fallback()

    expect(told.filter(has_text="Second")).to_have_count(1)
    expect(told.filter(has_text="First")).to_have_count(1)


def test_the_palette_opens_no_task_that_was_found_for_an_earlier_text(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    plain_world.task(project, "Greet")
    wanted = plain_world.task(project, "Search")
    reader.open(f"#/projects/{project.id}/tasks")
    expect(reader.see("task-card")).to_have_count(2)
    reader.page.keyboard.press("Control+k")
    field, found = reader.see("palette-input"), reader.see("palette-item")
    field.fill("tests")
    expect(found).to_have_count(1)
    field.fill("gree")
    expect(found).to_contain_text("Greet")
    held: list[Route] = []
    path = "**/api/tasks?*q=sear*"
    reader.page.route(path, lambda route: held.append(route))

    with reader.page.expect_request(path):
        field.fill("sear")
    expect(found).to_have_count(0)
    field.press("Enter")
    held[0].fallback()

    expect(found).to_contain_text("Search")
    field.press("Enter")
    expect(reader.page).to_have_url(re.compile(f"/tasks/{wanted.id}$"))


@ON_VIEWS
def test_an_answer_is_shown_though_an_event_came_before_it(
    reader: PageReader, plain_world: World, view: str, event: str, path: str, seen: str
) -> None:
    project = plain_world.project()
    feed = LiveFeed(reader.page)
    reader.page.clock.install()
    held: list[Route] = []
    reader.page.route(path, lambda route: held.append(route))
    with reader.page.expect_request(path):
        reader.open(f"#/projects/{project.id}/{view}")
    expect(reader.see("live-status").first).to_have_attribute("data-state", "on")
    # The page is not as patient with the first answer as a busy machine may be slow.
    stop_clock(reader.page)

    feed.tell(event, project.id, feed.SEQ + 1)
    reader.page.clock.run_for(1000)

    with reader.page.expect_request(path):
        held[0].fallback()
        expect(reader.page.get_by_role("main")).to_contain_text(seen)


@ON_VIEWS
def test_a_list_is_read_again_though_an_earlier_answer_never_comes(
    reader: PageReader, plain_world: World, view: str, event: str, path: str, seen: str
) -> None:
    project = plain_world.project()
    feed = LiveFeed(reader.page)
    reader.page.clock.install()
    lost: list[Route] = []
    reader.page.route(path, lambda route: lost.append(route), times=1)
    with reader.page.expect_request(path):
        reader.open(f"#/projects/{project.id}/{view}")
    expect(reader.see("live-status").first).to_have_attribute("data-state", "on")

    feed.tell(event, project.id, feed.SEQ + 1)
    reader.page.clock.run_for(12_000)

    expect(reader.page.get_by_role("main")).to_contain_text(seen)
    lost[0].fulfill(json={"taskGroups": [], "tests": [], "nextCursor": None})
    reader.settle()
    expect(reader.page.get_by_role("main")).to_contain_text(seen)


def test_what_needs_somebody_is_counted_though_events_come_faster_than_answers(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    plain_world.task(project, state="failed")
    feed = LiveFeed(reader.page)
    reader.page.clock.install()
    held: list[Route] = []
    reader.page.route("**/api/inbox", lambda route: held.append(route))
    reader.open(f"#/projects/{project.id}/tasks")
    expect(reader.see("live-status").first).to_have_attribute("data-state", "on")
    with reader.page.expect_request("**/api/inbox"):
        reader.page.clock.run_for(1100)

    feed.tell("task:created", project.id, feed.SEQ + 1, taskId="another")
    reader.page.clock.run_for(1100)
    held[0].fallback()

    expect(reader.see("inbox-count")).to_have_text("1")


def test_a_role_that_was_taken_away_is_seen_when_something_is_refused(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    reader.open(f"#/projects/{project.id}/tasks")
    reader.see("task-new").click()
    reader.see("task-title").fill("Greet")
    _give_role(plain_world, Role.VIEWER)

    reader.see("task-create").click()

    expect(reader.see("who")).to_contain_text("Viewer")
    expect(reader.see("task-new")).to_have_count(0)
    expect(reader.see("task-title")).to_have_value("Greet")


def test_a_role_that_was_changed_is_seen_after_a_while(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    reader.page.clock.install()
    reader.open(f"#/projects/{project.id}/tasks")
    expect(reader.see("task-new")).to_be_visible()
    _give_role(plain_world, Role.VIEWER)

    reader.page.clock.run_for(31_000)

    expect(reader.see("who")).to_contain_text("Viewer")
    expect(reader.see("task-new")).to_have_count(0)


def _give_role(world: World, role: Role) -> None:
    (row,) = all_of(User, User.username == world.max.username)
    put(User, row.id, role=role)


def _socket(reader: PageReader) -> Callable[[str, str, int], None]:
    """The page's socket, once it is open: what is sent to it is a live message of this project."""
    opened: list[WebSocketRoute] = []

    def answer(socket: WebSocketRoute) -> None:
        opened.append(socket)
        socket.on_message(lambda asked: _reply(socket, json.loads(asked)["event"]))

    def send(event: str, project_id: str, seq: int) -> None:
        opened[-1].send(json.dumps({"event": event, "projectId": project_id, "seq": seq, "data": {}}))

    reader.page.route_web_socket("**/ws", answer)
    return send


def _reply(socket: WebSocketRoute, asked: str) -> None:
    if name := {"auth": "auth:ok", "ping": "pong"}.get(asked):
        socket.send(json.dumps({"event": name, "data": {}}))
