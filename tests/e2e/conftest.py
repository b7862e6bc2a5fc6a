"""An instance without agents of its own, a person at its page, and a run whose agent is the test."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser

from tests.e2e.browser import Person, chromium
from tests.e2e.contract.caller import Caller
from tests.e2e.instance import Instance, running
from tests.e2e.scripted_run import ScriptedRun


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what the pages showed to the report of a test that failed: what fails once in many runs is not seen again."""
    report = yield
    if report.failed and call.when == "call" and call.excinfo is not None:
        for name, person in _people_of(item, call.excinfo).items():
            report.sections.append((f"page of {name}", person.account()))
    return report


def _people_of(item: pytest.Item, failure: pytest.ExceptionInfo[BaseException]) -> dict[str, Person]:
    """Those whom the test was given, and those whom it made."""
    frames = [entry.locals for entry in failure.traceback if entry.frame.code.name == getattr(item, "originalname", "")]
    named = [*getattr(item, "funcargs", {}).items(), *(pair for frame in frames for pair in frame.items())]
    return {name: value for name, value in named if isinstance(value, Person)}


@pytest.fixture(scope="package")
def quiet_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One for all files test_browser_…: tests make projects of their own, and remove what the whole platform shows."""
    environ = {"AIWORKER_AGENTS": "0", "AIWORKER_OUTGOING_ALLOW": "127.0.0.1"}
    with running(tmp_path_factory.mktemp("instance"), **environ) as started:
        yield started


@pytest.fixture(scope="module")
def chromium_browser(chromium_path: str) -> Iterator[Browser]:
    with chromium(chromium_path) as started:
        yield started


@pytest.fixture(scope="package")
def quiet_api(quiet_instance: Instance) -> Iterator[Caller]:
    with requests.Session() as session:
        nobody = Caller(session, quiet_instance.url, None)
        login = nobody.post("/auth/login", {"username": "admin", "password": quiet_instance.password})
        # A login's own token is good for a quarter of an hour.
        made = nobody.bearing(login["accessToken"]).post("/tokens", {"name": "tests", "role": "admin"}, 201)
        yield nobody.bearing(made["token"]["token"])


@pytest.fixture
def reader(chromium_browser: Browser, quiet_instance: Instance) -> Iterator[Person]:
    someone = Person(chromium_browser, quiet_instance.url)
    someone.log_in("admin", quiet_instance.password)
    someone.wait("live-status", state="on")
    yield someone
    someone.close()


@pytest.fixture
def talk(quiet_api: Caller, tmp_path: Path, request: pytest.FixtureRequest) -> ScriptedRun:
    return ScriptedRun(quiet_api, tmp_path, request.node.name.removeprefix("test_")[:60].replace("_", " ").strip())
