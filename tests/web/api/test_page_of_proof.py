"""The proof on the review page: a sentence a line, red first, and one click that lets lost tests go."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from common.models import Task, TaskCheck
from tests.web.api.test_lost_tests import refused
from tests.web.page_reader import PageReader
from tests.web.world import World, all_of, get, put

pytestmark = pytest.mark.slow


def test_a_maintainer_lets_lost_tests_go_with_one_click(reader: PageReader, plain_world: World) -> None:
    task = refused(plain_world)
    reader.open(f"#/projects/{task.project_id}/tasks/{task.id}")
    line = reader.see("task-check-line")
    expect(line).to_contain_text("2 tests")
    # What is green is only counted: the list of all checks stands below.
    put(TaskCheck, next(iter(all_of(TaskCheck, TaskCheck.task_id == task.id))).id, code=None, status="passed")
    reader.page.reload()
    expect(line).to_have_text("ChecksOne passed")
    put(TaskCheck, next(iter(all_of(TaskCheck, TaskCheck.task_id == task.id))).id, code="tests_lost", status="failed")
    reader.page.reload()

    reader.see("task-check-line").get_by_test_id("accept-lost-tests").click()

    expect(reader.page.get_by_text("The commit is proven again")).to_be_visible()
    expect(reader.see("accept-lost-tests")).to_have_count(0)
    assert get(Task, task.id).phase == "verifying"
