"""The pages of deployments and groups: which version is live, and what a rollback takes back."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from common.models import Task, TaskGroup
from common.states import Environment
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


def test_a_rollback_whose_plan_could_not_be_read_writes_the_fix_all_the_same(
    reader: PageReader, plain_world: World
) -> None:
    line = ProductionLine(plain_world)
    line.deliver(line.task("Kept"))
    line.deliver(line.task("Greet wrongly"))
    reader.open(f"#/projects/{line.project.id}/deployments")
    button = reader.see("environment-production").get_by_test_id("deployment-rollback")
    expect(button).to_be_enabled()
    reader.settle()
    reader.page.route("**/rollback", lambda route: route.abort())
    button.click()
    dialog = reader.page.get_by_role("dialog")
    expect(dialog).to_contain_text("The server can't be reached")
    dialog.get_by_label("Write the task that fixes it").check()
    reader.page.unroute("**/rollback")

    reader.see("rollback-confirm").click()

    expect(reader.see("toast").filter(has_text="The task that fixes it is written")).to_be_visible()
    (fix,) = all_of(Task, Task.title.contains("Fix or revert"))
    assert "Greet wrongly" in fix.description


def test_the_live_version_is_shown_below_however_many_failed_ones(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    plain_world.deployment(project, Environment.PRODUCTION)
    for _ in range(51):
        plain_world.deployment(project, Environment.PRODUCTION, state="failed", is_live=False)

    reader.open(f"#/projects/{project.id}/deployments")

    expect(reader.see("environment-production").get_by_test_id("version-production")).to_be_visible()
    expect(reader.see("environment-production").get_by_test_id("deployment-rollback")).to_be_visible()


def _approve(task_id: str) -> str:
    put(Task, task_id, state_="approved", head_sha=SHA, approved_sha=SHA, approved_by="max")
    return task_id


def test_tests_in_quarantine_take_nothing_out_of_a_group(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    one, other = plain_world.approved(project, "One", "Two")
    group = plain_world.group(project, [one, other])
    put(TaskGroup, group["id"], problems=[
        {"taskId": None, "kind": "quarantined", "files": [], "detail": "Tests in quarantine failed: page"},
        {"taskId": other, "kind": "conflict", "files": [], "detail": "conflicts with main"},
    ])  # fmt: skip
    reader.open(f"#/projects/{project.id}/groups")
    expect(reader.see("group-row")).to_contain_text("1 taken out")

    reader.see("group-row").click()
    shown = reader.see("group-problems").locator("li")
    expect(shown.filter(has_text="Taken out")).to_have_count(1)
    expect(shown.filter(has_text="Tests in quarantine failed")).to_have_class("callout ask")


def test_a_badge_is_as_wide_as_its_word_and_what_follows_begins_at_one_place(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    for state in ("completed", "superseded", "failed"):
        plain_world.deployment(project, Environment.PREVIEW, state=state, is_live=False)
    reader.open(f"#/projects/{project.id}/deployments")
    rows = reader.see("deployment-row")
    expect(rows).to_have_count(3)

    def boxes(selector: str, side: str) -> set[float]:
        return {round(rows.nth(number).locator(selector).bounding_box()[side]) for number in range(3)}  # type: ignore[index]

    assert len(boxes(".badge", "width")) == 3
    assert len(boxes(".row-main", "x")) == 1
