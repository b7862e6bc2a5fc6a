"""The web page as a person uses it: the sample, from the login to production."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import Person
from tests.e2e.browser_acts import approve
from tests.e2e.client import Client
from tests.e2e.instance import Instance, running

# Without those that Playwright keeps from the page and repeats, because what it pressed moved under the pointer.
COUNT_CLICKS = """
window.clicks = 0;
addEventListener("pointerdown", () => { window.clicks += 1; });
"""


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with running(tmp_path_factory.mktemp("instance")) as started:
        yield started


@pytest.fixture
def person(browser: Browser, instance: Instance) -> Iterator[Person]:
    """Somebody before the sign-in page."""
    someone = Person(browser, instance.url)
    yield someone
    someone.close()


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
