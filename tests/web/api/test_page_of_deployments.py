"""The pages of deployments and groups: which version is live, and what a rollback takes back."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from common.models import Task
from tests.web.api.production_line import ProductionLine
from tests.web.page_reader import PageReader
from tests.web.world import SHA, World, all_of, put

pytestmark = pytest.mark.slow


@pytest.fixture
def reader(source_reader: PageReader) -> PageReader:
    return source_reader


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
    reader.open(f"#/projects/{line.project.id}/tasks/{taken}/details")
    expect(reader.page.locator(".timeline")).to_contain_text("rolled it back")

    reader.open(f"#/projects/{line.project.id}/groups/{group_id}")
    expect(reader.see("group-status")).to_have_text("Rolled back")
    expect(reader.see("group-rolled-back")).to_be_visible()
    reader.open(f"#/projects/{line.project.id}/groups")
    expect(reader.see("group-row").filter(has_text="Rolled back")).to_have_count(1)


def test_a_rollback_says_first_what_it_takes_back_and_offers_the_fix(reader: PageReader, plain_world: World) -> None:
    line = ProductionLine(plain_world)
    line.deliver(line.task("Kept"))
    reader.open(f"#/projects/{line.project.id}/deployments")
    production = reader.see("environment-production")
    expect(production.get_by_test_id("deployment-rollback")).to_be_disabled()
    expect(production.get_by_test_id("rollback-impossible")).to_contain_text("production has no version before")

    kept = line.live()
    line.deliver(line.task("Greet wrongly"))
    reader.page.reload()
    production.get_by_test_id("deployment-rollback").click()
    plan = reader.see("rollback-plan")
    for said in ("from v2 to v1", "takes back 1 task", kept.commit_sha[:8], "Greet wrongly"):
        expect(plan).to_contain_text(said)
    expect(plan).not_to_contain_text("Kept")
    reader.page.get_by_label("Write the task that fixes it").check()
    reader.see("rollback-confirm").click()

    expect(reader.see("toast").filter(has_text="The task that fixes it is written")).to_be_visible()
    (fix,) = all_of(Task, Task.title.contains("Fix or revert"))
    assert (fix.labels, "Greet wrongly" in fix.description) == (["fix"], True)
    line.go_live(line.under_way().id)
    assert (
        line.world.client.post(
            "/api/task-groups",
            json={"projectId": line.project.id, "taskIds": [_approve(fix.id)], "targetBranch": "staging"},
        ).status_code
        == 201
    ), "the next group goes on with it"


def _approve(task_id: str) -> str:
    put(Task, task_id, state_="approved", head_sha=SHA, approved_sha=SHA, approved_by="max")
    return task_id
