"""The first hour at the page: nothing is there yet, and not all that is given is right."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from common.models import Project, Task
from common.states import Role
from tests.web.page_reader import PageReader
from tests.web.world import World, put

pytestmark = pytest.mark.slow


def test_a_wrong_key_is_replaced_where_it_was_given(at_the_page: Callable[[str, Role], PageReader]) -> None:
    ada = at_the_page("ada", Role.ADMIN)
    refusal = {"ok": False, "error": "The provider refuses the key.", "model": None, "latencyMs": None}
    ada.page.route("**/api/model-providers/*/test", lambda route: route.fulfill(json=refusal))
    sent: list[tuple[str, object]] = []
    ada.page.on(
        "request", lambda one: one.method in {"POST", "PATCH"} and sent.append((one.method, one.post_data_json))
    )
    ada.open("#/welcome")
    ada.see("connect-secret").fill("sk-ant-wrong")
    ada.see("connect-save").click()
    ada.see("provider-test").click()
    expect(ada.see("provider-tested")).to_contain_text("refuses the key")
    sent.clear()

    expect(ada.see("connect-save")).to_have_text("Replace key")
    ada.see("connect-secret").fill("sk-ant-right")
    ada.see("connect-save").click()

    expect(ada.see("connect-secret")).to_have_value("")
    assert sent == [("PATCH", {"login": "key", "key": "sk-ant-right", "enabled": True})]
    expect(ada.see("provider-test")).to_have_count(1)
    # What was said of the old one is not said of the new one.
    expect(ada.see("provider-tested")).to_have_count(0)


def test_a_key_is_not_given_to_a_provider_of_the_same_name_elsewhere(
    at_the_page: Callable[[str, Role], PageReader], plain_world: World
) -> None:
    local = {"name": "anthropic", "api": "anthropic", "baseUrl": "http://127.0.0.1:9", "login": "none"}
    bob = plain_world.client_of("bob", Role.ADMIN)
    assert bob.post("/api/model-providers", json=local).status_code == 201
    ada = at_the_page("ada", Role.ADMIN)
    ada.open("#/welcome")
    expect(ada.see("provider-test")).to_be_visible()
    ada.see("connect-secret").fill("sk-ant-right")

    ada.see("connect-save").click()

    expect(ada.page.get_by_role("alert")).to_contain_text("already a model provider named anthropic")
    (stored,) = bob.get("/api/model-providers").json["modelProviders"]
    assert (stored["login"], stored["hasKey"]) == ("none", False)


def test_an_import_from_a_wrong_address_leads_to_where_the_project_is_deleted(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project("Shop", import_url="https://git.example/team/shp.git")
    error = "https://git.example/team/shp.git can't be imported: the server has no such repository"
    put(Project, project.id, state_="failed", error=error)
    reader.open(f"#/projects/{project.id}/tasks")
    told = reader.page.locator(".banner.bad")
    expect(told).to_contain_text("If https://git.example/team/shp.git is the wrong address")

    told.get_by_role("link", name="its settings").click()

    expect(reader.see("project-delete")).to_be_visible()


def test_a_task_in_plain_words_shows_the_command_to_type_and_can_be_written_as_steps(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project("Shop")
    task = plain_world.task(project, "Greet", description="Say hello.")
    waits = "Run `aiworker drivers install claude` where the agents run; or write it as steps."
    put(Task, task.id, error=waits)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")

    command = reader.see("task-error").locator("code")
    expect(command).to_have_text("aiworker drivers install claude")
    expect(reader.see("task-error")).not_to_contain_text("`")

    reader.see("task-edit").click()
    reader.see("task-steps").click()
    described = reader.page.get_by_role("dialog").get_by_label("Description")
    expect(described).to_have_value(re.compile(r"Say hello\.\n\n```steps\n"))
