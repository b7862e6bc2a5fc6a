"""What a person does on the page again and again: a project, a task, its approval, its delivery."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.browser import PATIENCE_MS, Person


def create_project(person: Person, name: str, import_url: str) -> None:
    """Make a project and stay until it is active, without reloading."""
    person.click("project-new")
    person.fill("project-name", name)
    person.fill("project-import-url", import_url)
    person.fill("project-test-command", "python3 -m unittest -q")
    for environment in ("preview", "staging", "production"):
        person.fill(f"project-health-{environment}", "2")
    person.click("project-create")
    # Until its board is open, the side bar leads to the settings of the project before.
    expect(person.page.get_by_role("heading", name=name, exact=True)).to_be_visible(timeout=PATIENCE_MS)
    person.go("Project settings")
    person.wait("project-status", state="active")
    person.go("Board")


def write_task(person: Person, title: str, description: str) -> None:
    """Write a task and open it."""
    person.go("Board")
    person.click("task-new")
    person.fill("task-title", title)
    person.fill("task-description", description)
    person.click("task-create")
    person.see("task-card").filter(has_text=title).click()
    person.wait("task-state")


def check_ready(person: Person, expected: str) -> None:
    """Wait until the open task is proven; its preview says what is expected."""
    person.wait("task-state", state="ready_to_test")
    for check in person.see("task-checks").locator("[data-state]").all():
        assert check.get_attribute("data-state") in {"passed", "skipped"}
    assert person.read_out(person.see("task-preview")) == expected


def approve(person: Person) -> None:
    person.click("task-approve")
    person.wait("task-state", state="approved")


def deliver(person: Person, group: str, task: str, expected: str) -> None:
    """Put one approved task into a group and take it to staging and production, whose pages say what is expected."""
    person.go("Groups")
    person.click("group-new")
    expect(person.see("group-task").filter(has_text=task).locator("input")).to_be_checked()
    person.fill("group-name", group)
    person.click("group-create")
    person.click("group-deploy-staging")
    person.wait("group-status", state="staging")
    assert person.read_out(person.see("group-staging").get_by_role("link")) == expected
    person.click("group-deploy-production")
    person.click("group-deploy-production-confirm")
    person.wait("group-status", state="production")
    assert person.read_out(person.see("group-production").get_by_role("link")) == expected
