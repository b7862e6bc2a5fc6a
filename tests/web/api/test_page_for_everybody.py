"""The page for people who read another language, use the keyboard alone, or have a screen reader."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from common.models import Task
from common.values.states import Environment, Role
from tests.builders import log_in
from tests.png import solid
from tests.web.api.test_project_tests import note_tests
from tests.web.factories import a_live_run, a_picture, a_proposal, a_question
from tests.web.page_reader import PageReader
from tests.web.world import World, head_of, put

pytestmark = pytest.mark.slow

SIZES = {"wide": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
# Colours that are on their way to others are not those that people read.
_IS_STILL = """() => document.getAnimations().every(
  (one) => one.playState !== "running" || one.effect.getComputedTiming().iterations === Infinity)"""
_CATALOGUE = re.compile(r"/(es(?:-later|-server)?)-[0-9a-f]{16}\.mjs")
GRAVE = {"serious", "critical"}


@pytest.fixture
def ada(at_the_page: Callable[[str, Role], PageReader]) -> PageReader:
    """An administrator."""
    return at_the_page("ada", Role.ADMIN)


def _views(world: World) -> dict[str, str]:
    """The address of every view, with something in each."""
    project = world.project(has_repository=True, description="A shop", test_command="pytest")
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
    a_picture(proven, solid(1280, 800, (0, 128, 0)))
    a_picture(proven, None, kind="before")
    group = world.group(project, world.approved(project))["id"]
    world.deployment(project, Environment.STAGING)
    world.deployment(project, Environment.PRODUCTION)
    note_tests(project)
    of_project = f"#/projects/{project.id}"
    return {
        "board": f"{of_project}/tasks",
        "filtered": f"{of_project}/tasks?priority=medium",
        "running task": f"{of_project}/tasks/{running.id}",
        "asking task": f"{of_project}/tasks/{asking.id}",
        "proven task": f"{of_project}/tasks/{proven.id}",
        "failed task": f"{of_project}/tasks/{failed.id}",
        **{f"page: {tab}": f"{of_project}/tasks/{proven.id}/{tab}" for tab in ("review", "work", "details")},
        "groups": f"{of_project}/groups",
        "group": f"{of_project}/groups/{group}",
        "deployments": f"{of_project}/deployments",
        "tests": f"{of_project}/tests",
        "activity": f"{of_project}/activity",
        "settings": f"{of_project}/settings",
        "agent": f"#/agents/{agent_id}",
        **{name: f"#/{name}" for name in ("inbox", "agents", "jobs", "admin", "models", "spend", "account", "welcome")},
        "new project": "#/projects/new",
        "nowhere": "#/nonsense",
    }


def _settled(reader: PageReader, name: str) -> None:
    expect(reader.page.locator("main .loading"), name).to_have_count(0)
    reader.settle()
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


def _faults_at(reader: PageReader, name: str, size: str) -> list[str]:
    """Those on the view that is open, at this size."""
    reader.page.set_viewport_size(SIZES[size])
    _settled(reader, name)
    found = _faults(reader)
    reader.page.set_viewport_size(SIZES["wide"])
    return found


@pytest.mark.parametrize(("scheme", "size"), [("light", "wide"), ("dark", "phone")])
def test_axe_finds_nothing_serious_on_any_view(
    ada: PageReader, plain_world: World, scheme: Literal["light", "dark"], size: str
) -> None:
    ada.page.emulate_media(color_scheme=scheme)
    ada.page.set_viewport_size(SIZES["wide"])
    faults: dict[str, list[str]] = {}

    for name, address in _views(plain_world).items():
        ada.open(address)
        faults[name] = _faults_at(ada, name, size)
    ada.see("logout").click()
    expect(ada.see("login-submit")).to_be_visible()
    faults["login"] = _faults_at(ada, "login", size)

    assert {name: found for name, found in faults.items() if found} == {}


def test_the_page_speaks_the_language_that_was_chosen(ada: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    plain_world.task(project, state="needs_input")
    page = ada.page
    page.clock.set_fixed_time(datetime.now(UTC))
    loaded: list[str] = []
    page.on("request", lambda request: loaded.extend(_CATALOGUE.findall(request.url)))
    ada.open(f"#/projects/{project.id}/tasks")
    expect(ada.see("board-column-needs_input").locator("h2")).to_contain_text("Needs input")
    assert loaded == []

    ada.open("#/account")
    ada.see("language").select_option("es")

    expect(page.get_by_role("heading", name="Cuenta")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "es")
    ada.open(f"#/projects/{project.id}/tasks")
    expect(ada.see("board-column-needs_input").locator("h2")).to_contain_text("Espera respuesta")
    loaded.clear()
    page.reload()
    expect(ada.see("board-column-needs_input").locator("h2")).to_contain_text("Espera respuesta")
    expect(ada.see("task-card").locator("time")).to_have_text("ahora mismo")
    assert loaded == ["es"]
    # The words of what is loaded later come with it.
    page.evaluate("() => (location.hash = '#/account')")
    expect(page.get_by_role("heading", name="Cuenta")).to_be_visible()
    assert loaded == ["es", "es-later"]
    ada.see("logout").click()
    expect(ada.see("login-submit")).to_have_text("Iniciar sesión")
    ada.see("language").select_option("en")
    expect(ada.see("login-submit")).to_have_text("Sign in")


def _ask(reader: PageReader, text: str) -> None:
    """Type this into the palette."""
    reader.page.keyboard.press("Control+k")
    expect(reader.see("palette-input")).to_be_focused()
    reader.page.keyboard.type(text)


def test_everything_is_reached_by_the_keyboard_alone(ada: PageReader, plain_world: World) -> None:
    project, other = plain_world.project("Shop"), plain_world.project("Blog")
    far = plain_world.task(project, "Reset the password")
    page = ada.page
    ada.open(f"#/projects/{project.id}/groups")
    expect(page.get_by_role("heading", name="Groups")).to_be_visible()

    _ask(ada, "board")
    page.keyboard.press("Enter")
    expect(ada.see("task-card")).to_have_count(1)
    for wanted in ("the pass", far.id[-8:]):
        _ask(ada, wanted)
        expect(ada.see("palette-item")).to_have_count(1)
        expect(ada.see("palette-item")).to_contain_text("Reset the password")
        page.keyboard.press("Enter")
        expect(page.get_by_role("complementary").get_by_text("Reset the password")).to_be_visible()
        page.keyboard.press("Escape")
    _ask(ada, "blog")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Blog")).to_be_visible()
    assert other.id in page.url

    page.keyboard.press("?")
    expect(ada.see("keys").first).to_contain_text("New task")
    assert _faults(ada) == []
    page.keyboard.press("Escape")
    _ask(ada, "new task")
    assert _faults(ada) == []
    page.keyboard.press("Enter")
    expect(ada.see("task-title")).to_be_focused()
    page.keyboard.type("Written by keys")
    assert _faults(ada) == []
    page.keyboard.press("Enter")
    expect(ada.see("task-card")).to_contain_text("Written by keys")
    _ask(ada, "idioma espanol")
    expect(page.get_by_text("Nothing is called that.")).to_be_visible()
    page.keyboard.press("Control+a")
    page.keyboard.type("language")
    page.keyboard.press("Enter")
    expect(ada.see("task-new")).to_have_text("Nueva tarea")
    _ask(ada, "salir")
    page.keyboard.press("Enter")
    expect(ada.see("login-submit")).to_be_visible()


def test_a_session_elsewhere_is_ended_from_the_account(ada: PageReader, plain_world: World) -> None:
    there = plain_world.app.test_client()
    there.environ_base["HTTP_USER_AGENT"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    login = log_in(there, "ada")
    log_in(plain_world.app.test_client(), "ada")

    ada.open("#/account")

    expect(ada.see("session")).to_have_count(3)
    row = ada.see("session").filter(has_text="Firefox on Linux")
    row.get_by_test_id("session-end").click()
    expect(ada.see("session")).to_have_count(2)
    assert there.post("/api/auth/refresh", json={"refreshToken": login["refreshToken"]}).status_code == 401
    ada.see("sessions-end").click()
    ada.see("sessions-end-confirm").click()
    expect(ada.see("session")).to_have_count(1)
    expect(ada.see("session")).to_contain_text("This one")
