"""The page for people who read another language, use the keyboard alone, or have a screen reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, expect

from common.models import Task
from common.states import Environment, Role
from tests.e2e.browser import chromium
from tests.web.made import a_live_run, a_proposal, a_question
from tests.web.page_reader import PageReader
from tests.web.world import World, forget_providers, head_of, put

SIZES = {"wide": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
# Colours that are on their way to others are not those that people read.
_IS_STILL = """() => document.getAnimations().every(
  (one) => one.playState !== "running" || one.effect.getComputedTiming().iterations === Infinity)"""
GRAVE = {"serious", "critical"}


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    with chromium(chromium_path) as started:
        yield started


@pytest.fixture
def plain_world(plain_app: Flask) -> Iterator[World]:
    yield World(plain_app)
    forget_providers()


@pytest.fixture
def ada(browser: Browser, plain_world: World) -> Iterator[PageReader]:
    """An administrator at the page."""
    plain_world.client_of("ada", Role.ADMIN)
    someone = PageReader(browser, plain_world.app, "ada")
    yield someone
    someone.close()


def _views(world: World) -> dict[str, str]:
    """The address of every view, with something in each."""
    project = world.project(has_repository=True, description="A shop")
    _agent, agent_id = world.agent()
    running, asking, failed = (world.task(project, title) for title in ("Write", "Ask", "Fail"))
    put(Task, running.id, state_="in_progress", phase_="working")
    a_live_run(running)
    a_question(asking)
    put(Task, failed.id, state_="failed", error="given up after 3 lost runs")
    description = "# Say it\n\n```\nhello\n```"
    proven = world.task(project, "Greet", state="ready_to_test", labels=["ui"], description=description)
    put(Task, proven.id, head_sha=head_of(project))
    a_proposal(proven)
    group = world.group(project, world.approved(project))["id"]
    world.deployment(project, Environment.STAGING)
    world.deployment(project, Environment.PRODUCTION)
    of_project = f"#/projects/{project.id}"
    return {
        "board": f"{of_project}/tasks",
        "filtered": f"{of_project}/tasks?priority=medium",
        "running task": f"{of_project}/tasks/{running.id}",
        "asking task": f"{of_project}/tasks/{asking.id}",
        "proven task": f"{of_project}/tasks/{proven.id}",
        "failed task": f"{of_project}/tasks/{failed.id}",
        "groups": f"{of_project}/groups",
        "group": f"{of_project}/groups/{group}",
        "deployments": f"{of_project}/deployments",
        "activity": f"{of_project}/activity",
        "settings": f"{of_project}/settings",
        "agent": f"#/agents/{agent_id}",
        **{name: f"#/{name}" for name in ("inbox", "agents", "jobs", "admin", "models", "spend", "account", "welcome")},
        "new project": "#/projects/new",
        "nowhere": "#/nonsense",
    }


def _settled(reader: PageReader, name: str) -> None:
    reader.page.wait_for_load_state("networkidle")
    expect(reader.page.locator("main .loading"), name).to_have_count(0)
    reader.page.wait_for_function(_IS_STILL)


def _faults(reader: PageReader) -> list[str]:
    """What axe calls serious or critical."""
    found: list[dict[str, Any]] = Axe().run(reader.page).response["violations"]
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ]


def _faults_of_view(reader: PageReader, name: str) -> dict[str, list[str]]:
    """What is grave on the view that is open, by size and scheme."""
    found = {}
    for size in SIZES:
        reader.page.set_viewport_size(SIZES[size])
        for scheme in ("light", "dark"):
            reader.page.emulate_media(color_scheme=scheme)
            _settled(reader, name)
            found[f"{name}, {size}, {scheme}"] = _faults(reader)
    return {where: faults for where, faults in found.items() if faults}


def test_axe_finds_nothing_serious_on_any_view(ada: PageReader, plain_world: World) -> None:
    faults: dict[str, list[str]] = {}
    views = _views(plain_world)

    for name, address in views.items():
        ada.page.set_viewport_size(SIZES["wide"])
        ada.open(address)
        faults |= _faults_of_view(ada, name)
    ada.page.set_viewport_size(SIZES["wide"])
    ada.see("logout").click()
    expect(ada.see("login-submit")).to_be_visible()
    faults |= _faults_of_view(ada, "login")

    assert faults == {}
