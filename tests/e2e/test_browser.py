"""The web page as a person uses it: the whole story by hand, and what the page says when something is not as hoped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import Person
from tests.e2e.browser_acts import (
    approve,
    check_ready,
    create_project,
    deliver,
    find_no_way_back,
    look_at_release,
    read_deployments,
    write_task,
)
from tests.e2e.client import Client
from tests.e2e.instance import Instance, running
from tests.e2e.origin import served_repository
from tests.e2e.story_tasks import FIRST, SECOND
from tests.patience import PATIENCE_MS

# Without those that Playwright keeps from the page and repeats, because what it pressed moved under the pointer.
COUNT_CLICKS = """
window.clicks = 0;
addEventListener("pointerdown", () => { window.clicks += 1; });
"""


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served_repository(tmp_path_factory.mktemp("origin")) as address:
        yield address


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory, origin: str) -> Iterator[Instance]:
    folder: Path = tmp_path_factory.mktemp("instance")
    with running(folder, AIWORKER_IMPORT_ALLOW=urlsplit(origin).netloc) as started:
        yield started


@pytest.fixture
def person(browser: Browser, instance: Instance) -> Iterator[Person]:
    """Somebody before the sign-in page."""
    someone = Person(browser, instance.url)
    yield someone
    someone.close()


@pytest.fixture
def admin(person: Person, instance: Instance) -> Person:
    person.log_in("admin", instance.password)
    person.wait("live-status", state="on")
    return person


@pytest.fixture
def api(instance: Instance) -> Iterator[Client]:
    client = Client.login(instance.url, "admin", instance.password)
    yield client
    client.close()


def test_the_sample_goes_from_login_to_production_in_ten_clicks(
    person: Person, instance: Instance, api: Client
) -> None:
    person.page.add_init_script(COUNT_CLICKS)
    person.open()
    expect(person.see("login-username")).to_have_value("admin")
    person.page.keyboard.type(instance.password)
    person.click("login-submit")
    person.click("sample-create")
    person.card("Announce the soup").click()
    person.wait("task-state", state="ready_to_test")
    # So that it begins without the soup, as it does for whoever is not in such a hurry.
    expect(person.see("board-column-ready_to_test").get_by_text("Announce the winter hours")).to_be_visible()
    approve(person)
    person.go("Groups")
    person.click("group-new")
    person.click("group-create")
    person.click("group-deploy-staging")
    person.click("group-deploy-production")
    person.click("group-deploy-production-confirm")
    person.wait("group-status", state="production")

    assert person.page.evaluate("window.clicks") == 10
    assert "Soup of the day: pumpkin." in person.read_out(person.see("group-production").get_by_role("link"))
    person.go("Board")
    person.card("Choose the colours").click()
    person.see("question-option").filter(has_text="Warm").click()
    person.wait("task-state", state="ready_to_test")
    (hours,) = [task for task in api.get("/tasks")["tasks"] if task["labels"] == ["conflicts"]]
    person.card(hours["title"]).click()
    approve(person)
    api.post("/task-groups", {"projectId": hours["projectId"], "taskIds": [hours["id"]]}, 201)
    expect(person.see("sent-back").last).to_contain_text("once")
    person.wait("task-state", state="ready_to_test")
    assert person.problems == []


@pytest.mark.slow
def test_a_whole_task_is_done_by_hand(admin: Person, origin: str) -> None:
    create_project(admin, "Greeter", origin)

    write_task(admin, "Greet in Spanish", FIRST.steps)
    admin.wait("task-state", state="needs_input")
    expect(admin.see("question")).to_contain_text("In which language should it greet?")
    admin.see("question-option").filter(has_text="Spanish").click()
    expect(admin.see("task-log")).to_contain_text("OK", timeout=PATIENCE_MS)
    check_ready(admin, "hola")
    expect(admin.see("task-diff").locator("tr").filter(has_text="hola")).to_be_visible()

    admin.see("task-diff").locator('[data-path="greeting.txt"] tr[data-side="new"] td').first.click()
    admin.page.keyboard.type("Welcome them, too")
    expect(admin.see("diff-comment")).to_have_value("Welcome them, too")
    admin.go("Groups")
    admin.page.go_back()
    expect(admin.see("diff-comment")).to_have_value("Welcome them, too")
    admin.click("task-reject")
    admin.fill("reject-reason", "Too short")
    admin.click("reject-submit")
    expect(admin.see("task-comments")).to_contain_text("Welcome them, too")
    expect(admin.see("task-diff")).to_contain_text("hola, bienvenida", timeout=PATIENCE_MS)
    check_ready(admin, "hola, bienvenida")
    approve(admin)
    deliver(admin, "Sprint 1", "Greet in Spanish", "hola, bienvenida", "Production gets its first version, v1: 1 task")
    find_no_way_back(admin)

    write_task(admin, "Be formal", SECOND.steps)
    check_ready(admin, "buenos dias")
    approve(admin)
    deliver(admin, "Sprint 2", "Be formal", "buenos dias", "Production goes from v1 to v2: brings 1 task, ")
    look_at_release(admin, "Be formal", "buenos dias")

    read_deployments(admin)
    production = admin.see("environment-production")
    expect(production.get_by_test_id("deployment-row")).to_have_count(2)
    production.get_by_test_id("deployment-rollback").click()
    expect(admin.see("rollback-plan")).to_contain_text("Production goes from v2 to v1: takes back 1 task, 1 commit.")
    admin.click("rollback-confirm")
    expect(production.get_by_text("Rolls back")).to_be_visible()
    admin.wait("deployment-row", environment="production", status="rolled_back")
    live = admin.see("deployment-row", environment="production", status="completed").first
    assert admin.read_out(live.get_by_role("link", name="Open")) == "hola, bienvenida"
    admin.go("Groups")
    expect(admin.see("group-row").filter(has_text="Sprint 2")).to_contain_text("Rolled back")
    expect(admin.see("group-row").filter(has_text="Sprint 1")).not_to_contain_text("Rolled back")
    admin.see("group-row").filter(has_text="Sprint 2").click()
    admin.wait("group-rolled-back")
    expect(admin.see("train-task")).to_contain_text("Rolled back")
    assert admin.problems == []


@pytest.mark.slow
def test_a_person_sees_their_tokens_and_changes_their_password(person: Person, api: Client) -> None:
    api.post("/users", {"username": "paul", "password": "a password of Paul's", "role": "viewer"}, 201)
    person.log_in("paul", "a password of Paul's")
    person.wait("live-status", state="on")
    person.go("Account and tokens")
    person.click("token-new")
    person.fill("token-name", "Nightly script")
    person.click("token-create")
    expect(person.page.get_by_text("Nightly script")).to_be_visible()
    person.wait("secret")

    person.fill("password-current", "not this one")
    person.fill("password-new", "password")
    person.click("password-change")
    expect(person.page.get_by_role("alert")).to_contain_text("Is not your password")
    person.fill("password-current", "a password of Paul's")
    person.click("password-change")
    expect(person.page.get_by_role("alert")).to_contain_text("Is too easy to guess")
    person.fill("password-new", "another one of Paul's")
    person.click("password-change")

    expect(person.page.get_by_text("Password changed.")).to_be_visible()
    expect(person.page.get_by_text("No tokens")).to_be_visible()
    # The page's own login ended with the others, and goes on with the new one.
    person.wait("live-status", state="on")
    Client.login(person.url, "paul", "another one of Paul's").close()
    # Chromium tells of each reply that refused a password.
    assert [problem for problem in person.problems if "status of 400" not in problem] == []
