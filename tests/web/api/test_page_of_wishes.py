"""Who does a task, and after which others: changed on its page."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from common.models import Project, Task, TaskDependency
from tests.web.page_reader import PageReader
from tests.web.world import World, all_of, get

pytestmark = pytest.mark.slow


def _edit(reader: PageReader, project: Project, task: Task) -> Locator:
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    reader.see("task-edit").click()
    return reader.page.get_by_role("dialog")


def _save(dialog: Locator) -> None:
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)


def _needed(task: Task) -> set[str]:
    return {one.depends_on_id for one in all_of(TaskDependency, TaskDependency.task_id == task.id)}


def test_another_driver_and_other_dependencies_are_chosen_where_the_task_is_edited(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    first = plain_world.task(project, "Lay the table")
    task = plain_world.task(project, "Serve the soup")
    dialog = _edit(reader, project, task)
    dialog.get_by_text("More", exact=True).click()
    expect(dialog.get_by_label("Serve the soup")).to_have_count(0)
    dialog.get_by_test_id("driver").fill("codex")
    dialog.get_by_label("Required capabilities").fill("node, gpu")
    dialog.get_by_label("Lay the table").check()
    _save(dialog)

    changed = get(Task, task.id)
    assert (changed.driver, changed.model, changed.required_capabilities) == ("codex", None, ["node", "gpu"])
    assert _needed(task) == {first.id}
    expect(reader.page.locator(".facts").first).to_contain_text("Lay the table")

    dialog = _edit(reader, project, task)
    expect(dialog.get_by_label("Lay the table")).to_be_checked()
    dialog.get_by_test_id("driver").fill("")
    _save(dialog)
    assert (get(Task, task.id).driver, _needed(task)) == (None, {first.id})


def test_the_limits_of_a_tasks_runs_are_chosen_where_it_is_edited(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project(limits={"maxMinutes": 45})
    task = plain_world.task(project, "Serve the soup")
    dialog = _edit(reader, project, task)
    dialog.get_by_text("More", exact=True).click()
    minutes = dialog.get_by_test_id("task-limit-maxMinutes")
    expect(minutes).to_have_attribute("placeholder", "45")
    minutes.fill("0.01")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator(".field.wrong")).to_contain_text("0.1")
    minutes.fill("90")
    dialog.get_by_test_id("task-limit-maxCostUsd").fill("2.5")
    _save(dialog)
    assert get(Task, task.id).limits == {"maxCostUsd": 2.5, "maxMinutes": 90}

    reader.open(f"#/projects/{project.id}/tasks/{task.id}/details")
    facts = reader.page.locator(".facts").filter(has_text="Limits of each run")
    expect(facts).to_contain_text("$2.50")
    expect(facts).to_contain_text("90 min")
    dialog = _edit(reader, project, task)
    expect(dialog.get_by_test_id("task-limit-maxMinutes")).to_have_value("90")
    dialog.get_by_test_id("task-limit-maxCostUsd").fill("")
    _save(dialog)
    assert get(Task, task.id).limits == {"maxMinutes": 90}
