"""A project's settings at the page: what is saved is what the person changed, and nothing of others."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from common.models import Project
from common.services.project_settings.variables import secrets_of
from common.values.states import Role
from tests import builders
from tests.web.page_reader import PageReader
from tests.web.world import World, get

pytestmark = pytest.mark.slow

Arrive = Callable[[str, Role], PageReader]


@pytest.fixture
def reader(source_reader: PageReader) -> PageReader:
    return source_reader


def test_what_others_saved_in_a_changed_field_is_told_before_it_is_replaced(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project(forbidden_paths=["a.txt"])
    reader.open(f"#/projects/{project.id}/settings")
    field = reader.page.locator("textarea[name=forbiddenPaths]")
    field.fill("a.txt\nmine.txt")
    # No event tells of it.
    _save_elsewhere(plain_world, project, forbiddenPaths=["a.txt", "secret.txt"], testCommand="make test")

    reader.see("project-save").click()

    expect(reader.page.get_by_role("alert")).to_contain_text("Somebody else changed this too.")
    expect(reader.page.locator(".field.wrong")).to_contain_text("Somebody else saved: a.txt secret.txt")
    expect(reader.page.locator(".field.wrong")).to_have_count(1)
    assert get(Project, project.id).forbidden_paths == ["a.txt", "secret.txt"]
    reader.see("project-save").click()
    expect(reader.page.get_by_text("Saved.")).to_be_visible()
    expect(reader.page.locator(".field.wrong")).to_have_count(0)
    saved = get(Project, project.id)
    assert (saved.forbidden_paths, saved.test_command) == (["a.txt", "mine.txt"], "make test")


VALUES = {
    "CERT": "-----BEGIN\nMIIE=\n-----END\n",
    "PADDED": " x  ",
    "QUOTED": '"as it is"',
    "LOOKS_QUOTED": r'"a\nb"',
    "BROKEN": '"',
    "SLASHES": r"C:\new",
    "EMPTY": "",
}


def test_a_secret_variable_is_set_beside_the_others(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    _save_elsewhere(plain_world, project, secretEnvVars={"KEY": "hunter2", "PIN": "7", "TOKEN": "x"})
    reader.open(f"#/projects/{project.id}/settings")
    field = reader.page.locator("[name=secretEnvVars]")
    field.fill("KEY=fresh\nNEW=1")
    reader.page.get_by_label("Remove PIN").check()

    reader.see("project-save").click()

    expect(reader.page.get_by_text("Saved.")).to_be_visible()
    expect(field).to_have_value("")
    assert secrets_of(get(Project, project.id)) == {"KEY": "fresh", "TOKEN": "x", "NEW": "1"}

    reader.page.get_by_label("Remove all secret variables").check()
    field.fill("ONLY=1")
    reader.see("project-save").click()

    expect(reader.page.get_by_text("Set: ONLY.")).to_be_visible()
    assert secrets_of(get(Project, project.id)) == {"ONLY": "1"}


def test_a_members_role_is_changed_where_it_stands(at_the_page: Arrive, plain_world: World) -> None:
    project = plain_world.project()
    eve = builders.a_user("eve")
    client = plain_world.client
    members = f"/api/projects/{project.id}/members"
    assert client.put(f"{members}/{eve.id}", json={"role": "viewer"}).status_code in {200, 204}
    reader = at_the_page("ada", Role.ADMIN)
    reader.open(f"#/projects/{project.id}/settings")
    role = reader.page.get_by_label("Role of eve")
    expect(role).to_have_value("viewer")

    role.select_option(label="Maintainer")

    expect(reader.see("toast")).to_contain_text("Saved.")
    assert [(one["username"], one["role"]) for one in client.get(members).json["members"]] == [("eve", "maintainer")]

    # What the server refuses is not shown as done.
    reader.page.route("**/members/*", lambda route: route.fulfill(status=403, json={"error": "Forbidden"}))
    role.select_option(label="Viewer")
    expect(reader.page.get_by_role("alert")).to_contain_text("Your role doesn't allow this.")
    expect(role).to_have_value("maintainer")


def _save_elsewhere(world: World, project: Project, **values: object) -> None:
    assert world.client.patch(f"/api/projects/{project.id}", json=values).status_code == 200
