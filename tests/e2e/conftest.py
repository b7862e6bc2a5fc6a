"""An instance without agents of its own, a person at its page, and a run whose agent is the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser

from tests.e2e.browser import Person, chromium
from tests.e2e.contract.caller import Caller
from tests.e2e.instance import Instance, running
from tests.e2e.talk import Talk


@pytest.fixture(scope="package")
def quiet_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One for all files test_browser_…: tests make projects of their own, and remove what the whole platform shows."""
    environ = {"AIWORKER_AGENTS": "0", "AIWORKER_OUTGOING_ALLOW": "127.0.0.1", "AIWORKER_ACCESS_TOKEN_SECONDS": "86400"}
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
        yield nobody.bearing(login["accessToken"])


@pytest.fixture
def reader(chromium_browser: Browser, quiet_instance: Instance) -> Iterator[Person]:
    someone = Person(chromium_browser, quiet_instance.url)
    someone.log_in("admin", quiet_instance.password)
    someone.wait("live-status", state="on")
    yield someone
    someone.close()


@pytest.fixture
def talk(quiet_api: Caller, tmp_path: Path, request: pytest.FixtureRequest) -> Talk:
    return Talk(quiet_api, tmp_path, request.node.name.removeprefix("test_")[:60].replace("_", " ").strip())
