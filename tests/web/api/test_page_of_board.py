"""What the page says of tasks that ended, whatever the column: none vanishes, and each says why."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, expect

from common.models import Task
from tests.e2e.browser import chromium
from tests.web.api.production_line import ProductionLine
from tests.web.page_reader import PageReader
from tests.web.world import World, forget_providers, put


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    with chromium(chromium_path) as started:
        yield started


@pytest.fixture
def plain_world(plain_app: Flask) -> Iterator[World]:
    yield World(plain_app)
    forget_providers()


@pytest.fixture
def reader(browser: Browser, plain_world: World) -> Iterator[PageReader]:
    someone = PageReader(browser, plain_world.app, plain_world.max.username)
    yield someone
    someone.close()


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


def test_what_a_rollback_took_back_does_not_read_production(reader: PageReader, plain_world: World) -> None:
    line = ProductionLine(plain_world)
    kept, taken = line.task("Kept"), line.task("Taken back")
    line.deliver(kept)
    group_id = line.deliver(taken).task_group_id
    line.roll_back()

    reader.open(f"#/projects/{line.project.id}/tasks/{taken}")
    expect(reader.see("board-column-production").get_by_test_id("task-card")).to_contain_text("Kept")
    expect(reader.see("board-column-rolled_back").get_by_test_id("task-card")).to_contain_text("Taken back")
    expect(reader.see("task-state")).to_have_text("Rolled back")
    expect(reader.see("task-state")).to_have_attribute("data-state", "production")
    reader.page.get_by_text("Timeline", exact=True).click()
    expect(reader.page.locator(".timeline")).to_contain_text("rolled it back")

    reader.open(f"#/projects/{line.project.id}/groups/{group_id}")
    expect(reader.see("group-status")).to_have_text("Rolled back")
    expect(reader.see("group-rolled-back")).to_be_visible()
    reader.open(f"#/projects/{line.project.id}/groups")
    expect(reader.see("group-row").filter(has_text="Rolled back")).to_have_count(1)
