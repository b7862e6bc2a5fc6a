"""A project's settings at the page: what is saved is what the person changed, and nothing of others."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from common.models import Project
from common.services.projects.variables import secrets_of
from common.states import Role
from tests import builders
from tests.web.live_feed import LiveFeed
from tests.web.page_reader import PageReader
from tests.web.world import World, get

pytestmark = pytest.mark.slow

Arrive = Callable[[str, Role], PageReader]


@pytest.fixture
def reader(source_reader: PageReader) -> PageReader:
    return source_reader


def test_what_others_save_shows_in_the_settings_that_are_not_changed_here(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project(forbidden_paths=["a.txt"], description="A shop.")
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/settings")
    field = reader.page.locator("textarea[name=forbiddenPaths]")
    expect(field).to_have_value("a.txt")
    reader.page.locator("[name=description]").fill("A museum.")
    _save_elsewhere(plain_world, project, forbiddenPaths=["a.txt", "secret.txt"], testCommand="make test")

    feed.tell("project:status_changed", project.id, feed.SEQ + 1)

    expect(field).to_have_value("a.txt\nsecret.txt")
    expect(reader.page.locator("[name=testCommand]")).to_have_value("make test")
    expect(reader.page.locator("[name=description]")).to_have_value("A museum.")
    field.fill("a.txt\nsecret.txt\nmine.txt")
    reader.see("project-save").click()
    expect(reader.page.get_by_text("Saved.")).to_be_visible()
    saved = get(Project, project.id)
    assert (saved.forbidden_paths, saved.test_command) == (["a.txt", "secret.txt", "mine.txt"], "make test")
    assert saved.description == "A museum."


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


def test_saving_nothing_says_so_and_keeps_nothing(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project(description="A shop.")
    reader.open(f"#/projects/{project.id}/settings")
    reader.see("project-save").click()
    expect(reader.see("toast")).to_have_text(["Nothing has changed."])
    _save_elsewhere(plain_world, project, description="A museum.")

    reader.page.reload()

    expect(reader.page.locator("[name=description]")).to_have_value("A museum.")
    expect(reader.see("draft-kept")).to_have_count(0)


def test_a_variable_that_is_not_changed_stays_as_it_is(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project(env_vars=VALUES)
    reader.open(f"#/projects/{project.id}/settings")
    field = reader.page.locator("textarea[name=envVars]")
    expect(field).to_have_value(re.compile("^EMPTY=$", re.MULTILINE))

    field.fill(f'{field.input_value()}\nNEW="1"')
    reader.see("project-save").click()

    expect(reader.page.get_by_text("Saved.")).to_be_visible()
    saved = plain_world.client.get(f"/api/projects/{project.id}").json["project"]["envVars"]
    assert saved == {**VALUES, "NEW": '"1"'}


def test_the_secret_variables_are_removed_only_if_that_is_chosen(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    path = f"/api/projects/{project.id}"
    _save_elsewhere(plain_world, project, secretEnvVars={"KEY": "hunter2", "PIN": "7"}, secretsInChecks=["KEY"])
    reader.open(f"#/projects/{project.id}/settings")
    saved = reader.page.get_by_text("Saved.")
    reader.page.locator("[name=description]").fill("A museum.")
    reader.see("project-save").click()
    expect(saved).to_be_visible()
    assert plain_world.client.get(path).json["project"]["secretEnvVars"] == ["KEY", "PIN"]

    box = reader.page.get_by_label("Remove all secret variables")
    box.check()
    reader.see("project-save").click()

    expect(box).to_have_count(0)
    project_now = plain_world.client.get(path).json["project"]
    assert (project_now["secretEnvVars"], project_now["secretsInChecks"]) == ([], [])
    expect(reader.page.locator("[name=secretsInChecks]")).to_have_value("")


def test_one_secret_variable_is_removed_alone(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    values = {"KEY": "hunter2", "PIN": "7", "TOKEN": "x"}
    _save_elsewhere(plain_world, project, secretEnvVars=values, secretsInChecks=["KEY", "PIN"])
    reader.open(f"#/projects/{project.id}/settings")
    reader.page.get_by_label("Remove KEY").check()
    reader.page.get_by_label("Remove PIN").check()
    reader.page.get_by_label("Remove KEY").uncheck()

    reader.see("project-save").click()

    expect(reader.page.get_by_text("Saved.")).to_be_visible()
    expect(reader.page.get_by_label("Remove PIN")).to_have_count(0)
    expect(reader.page.get_by_label("Remove KEY")).not_to_be_checked()
    expect(reader.page.locator("[name=secretsInChecks]")).to_have_value("KEY")
    assert secrets_of(get(Project, project.id)) == {"KEY": "hunter2", "TOKEN": "x"}


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


def test_a_new_project_begins_with_secret_variables(reader: PageReader, plain_world: World) -> None:
    reader.open("#/projects/new")
    reader.see("project-name").fill("Shop")
    reader.page.get_by_text("More", exact=True).click()
    reader.page.locator("[name=secretEnvVars]").fill("KEY=hunter2")

    reader.see("project-create").click()

    expect(reader.page.get_by_role("heading", name="Shop")).to_be_visible()
    (project,) = plain_world.client.get("/api/projects").json["projects"]
    assert secrets_of(get(Project, project["id"])) == {"KEY": "hunter2"}


def test_a_field_that_the_browser_refuses_is_not_left_folded_away(reader: PageReader) -> None:
    reader.open("#/projects/new")
    reader.see("project-name").fill("Shop")
    more = reader.page.locator("main details summary")
    more.click()
    port = reader.page.locator("[name=port]")
    port.fill("-3")
    more.click()
    expect(port).to_be_hidden()

    reader.see("project-create").click()

    expect(port).to_be_visible()
    expect(port).to_be_focused()


@pytest.mark.parametrize(
    ("command", "ends_early"),
    [
        ("pytest -q -x", True), ("make && python -m pytest --maxfail=1 tests", True), ("npx jest --bail", True),
        ("gotestsum -- -failfast ./...", True), ("python3 -m unittest --failfast", True),
        ("bash -x test.sh; pytest", False), ("pytest; sh -x done.sh", False),
        ("cargo nextest run --no-fail-fast", False), ("pytest -xvs", True), ("pytest -vvx tests", True),
        ("pytest -rxX", False), ("npx jest --bail=0", False), ("pytest --maxfail 0", False),
        ("go test -failfast=false ./...", False),
    ],
)  # fmt: skip
def test_a_test_command_that_ends_at_the_first_failure_is_told(
    reader: PageReader, command: str, ends_early: bool
) -> None:
    reader.open("#/projects/new")
    field = reader.see("project-test-command")
    field.fill(command)

    expect(field).to_have_accessible_description(
        re.compile("^It ends at the first test that fails" if ends_early else "^Run by the platform")
    )


def test_an_emptied_field_has_its_usual_value(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project(
        replicas=2, preview_ttl_hours=5, group_test_runs=3, most_quarantined=4,
        health_seconds={"preview": 1, "staging": 7, "production": 9},
    )  # fmt: skip
    reader.open(f"#/projects/{project.id}/settings")
    for name in ("replicas", "previewTtlHours", "groupTestRuns", "mostQuarantined", "healthSeconds.staging"):
        reader.page.locator(f'input[name="{name}"]').fill("")

    reader.see("project-save").click()

    expect(reader.page.get_by_text("Saved.").or_(reader.page.locator(".fault"))).to_have_text("Saved.")
    saved = get(Project, project.id)
    assert (saved.replicas, saved.preview_ttl_hours, saved.group_test_runs, saved.most_quarantined) == (1, 72, 0, 5)
    assert saved.health_seconds == {"preview": 1, "staging": 10, "production": 9}
    expect(reader.page.locator('input[name="healthSeconds.staging"]')).to_have_value("10")


def test_amounts_with_a_fraction_keep_no_other_setting_from_being_saved(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    limits = {"maxCostUsd": 0.005, "maxTokens": 1, "maxMinutes": 1.5}
    amounts = {
        "limits": limits, "healthSeconds": {"preview": 0.5, "staging": 0.5, "production": 0.5},
        "questionRules": {"remindMinutes": 1.5, "deadlineMinutes": 2.5},
        "agentReview": {"mode": "advisory", "driver": "claude", "limits": limits},
    }  # fmt: skip
    _save_elsewhere(plain_world, project, **amounts)
    reader.open(f"#/projects/{project.id}/settings")
    reader.page.locator("[name=description]").fill("A museum.")

    reader.see("project-save").click()

    expect(reader.page.get_by_text("Saved.")).to_be_visible()
    assert get(Project, project.id).description == "A museum."


def test_any_of_many_users_is_made_a_member(at_the_page: Arrive, plain_world: World) -> None:
    project = plain_world.project()
    for number in range(50):
        builders.a_user(f"person{number:02}")
    reader = at_the_page("ada", Role.ADMIN)
    # Pages as small as to need several.
    reader.page.route("**/api/users?*", lambda route: route.fallback(url=route.request.url.replace("=200", "=20")))
    reader.open(f"#/projects/{project.id}/settings")
    user = reader.page.locator("select[name=userId]")
    names = sorted(["maxim", "ada", *(f"person{number:02}" for number in range(50))])
    expect(user.locator("option")).to_have_text(["Choose…", *names])

    user.select_option(label="maxim")
    reader.page.get_by_role("button", name="Add", exact=True).click()

    expect(user.locator("option")).to_have_count(len(names))
    members = plain_world.client.get(f"/api/projects/{project.id}/members").json["members"]
    assert [one["username"] for one in members] == ["maxim"]


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


def test_a_project_is_deleted_by_its_name_as_it_is_read(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project("Web  shop")
    reader.open(f"#/projects/{project.id}/settings")
    reader.see("project-delete").click()
    confirm = reader.see("project-delete-confirm")
    reader.see("confirm-word").fill("Web shop")
    expect(confirm).to_be_enabled()

    reader.see("confirm-word").fill("Webshop")
    expect(confirm).to_be_disabled()


def _save_elsewhere(world: World, project: Project, **values: object) -> None:
    assert world.client.patch(f"/api/projects/{project.id}", json=values).status_code == 200
