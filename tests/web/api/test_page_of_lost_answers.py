"""What somebody does at the page is done once, though its answer did not arrive and the request is sent again."""

from __future__ import annotations

import pytest
from playwright.sync_api import Request, Route, expect

from common.models import Task
from tests.web.page_reader import PageReader
from tests.web.world import World, all_of

pytestmark = pytest.mark.slow


def write_task(reader: PageReader, project_id: str) -> None:
    reader.open(f"#/projects/{project_id}/tasks")
    reader.see("task-new").click()
    reader.see("task-title").fill("Greet in Spanish")
    reader.see("task-create").click()


def test_a_task_is_created_once_though_a_proxy_gave_up_waiting(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()

    def give_up(route: Route, request: Request) -> None:
        if request.method == "POST":
            reader.send(request)
            route.fulfill(status=504, content_type="text/html", body="<h1>Bad gateway</h1>")
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
