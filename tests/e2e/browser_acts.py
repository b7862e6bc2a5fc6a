"""What a person does on the page again and again: a project, a task, its approval, its delivery."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from common.services.delivery.bisection import GREEN_RUNS
from tests.e2e.browser import Person
from tests.patience import PATIENCE_MS


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
    person.card(title).click()
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


def deliver(person: Person, group: str, task: str, expected: str, goes: str) -> None:
    """Put one approved task into a group and take it to staging and production, whose pages say what is expected.

    goes: what the page says that the deployment to production does.
    """
    person.go("Groups")
    person.click("group-new")
    expect(person.see("group-task").filter(has_text=task).locator("input")).to_be_checked()
    person.fill("group-name", group)
    person.click("group-create")
    expect(person.see("missing-production")).to_have_text("It has to run on staging first.")
    expect(person.see("group-deploy-production")).to_be_disabled()
    person.click("group-deploy-staging")
    person.wait("group-status", state="staging")
    assert person.read_out(person.see("group-staging").get_by_role("link")) == expected
    person.click("group-deploy-production")
    expect(person.page.get_by_role("dialog")).to_contain_text(goes)
    person.click("group-deploy-production-confirm")
    person.wait("group-status", state="production")
    assert person.read_out(person.see("group-production").get_by_role("link")) == expected


def look_at_release(person: Person, task: str, change: str) -> None:
    """Read all that the open group says of itself: its tests with their logs, commits, changes, changelog."""
    runs = person.see("group-train").get_by_test_id("train-run")
    expect(runs).to_have_count(GREEN_RUNS)
    expect(runs.last).to_have_attribute("data-passed", "true")
    runs.last.click()
    expect(person.see("train-log")).to_contain_text("OK")
    person.page.get_by_role("dialog").get_by_role("button", name="Close").click()
    for part, text in (("release-commits", None), ("release-diff", change), ("release-changelog", f"- {task}")):
        person.see(part).locator("summary").click()
        expect(person.see(part).locator(".row, tr, pre").filter(has_text=text or "").first).to_be_visible()


def find_no_way_back(person: Person) -> None:
    """The first version of all can't be rolled back, and the page says why."""
    person.go("Deployments")
    production = person.see("environment-production")
    expect(production.get_by_test_id("rollback-impossible")).to_contain_text("production has no version before")
    expect(production.get_by_test_id("deployment-rollback")).to_be_disabled()


def read_deployments(person: Person) -> None:
    """Production and staging side by side: versions, health, and logs with their times."""
    person.go("Deployments")
    for environment in ("production", "staging"):
        expect(person.see(f"version-{environment}")).to_have_text("v2")
        strip = person.see(f"health-{environment}")
        expect(strip).to_contain_text("Healthy, looked at", timeout=PATIENCE_MS)
        assert "healthy for 100 %" in (strip.get_by_role("img").get_attribute("aria-label") or "")
    person.see("environment-production").get_by_test_id("deployment-logs-open").first.click()
    expect(person.see("deployment-logs").locator("time").first).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    expect(person.see("deployment-logs")).to_contain_text("healthy: it is live now")
    person.page.get_by_role("dialog").get_by_role("button", name="Close").click()
