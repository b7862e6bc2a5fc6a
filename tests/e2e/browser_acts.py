"""What a person does on the page again and again: a project, a task, its approval, its delivery."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.browser import Person
from tests.long_waits import LONG_WAIT_MS


def create_project(person: Person, name: str, import_url: str) -> None:
    """Make a project and stay until it is active, without reloading."""
    person.open_side_bar()
    person.click("project-new")
    person.fill("project-name", name)
    person.fill("project-import-url", import_url)
    person.fill("project-test-command", "python3 -m unittest -q")
    for environment in ("preview", "staging", "production"):
        person.fill(f"project-health-{environment}", "2")
    person.click("project-create")
    # Until its board is open, the side bar leads to the settings of the project before.
    expect(person.page.get_by_role("heading", name=name, exact=True)).to_be_visible(timeout=LONG_WAIT_MS)
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
    person.card(title).click()
    person.wait("task-state")


def approve(person: Person) -> None:
    person.click("task-approve")
    person.wait("task-state", state="approved")
