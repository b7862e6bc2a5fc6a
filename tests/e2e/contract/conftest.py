"""One instance for each test process."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests

from tests.e2e.contract.caller import Caller
from tests.e2e.contract.fake_agent import FakeAgent
from tests.e2e.contract.platform import Platform
from tests.e2e.instance import running
from tests.e2e.origin import served_repository


@pytest.fixture(scope="session")
def import_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served_repository(tmp_path_factory.mktemp("origin")) as url:
        yield url


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory, import_url: str) -> Iterator[Platform]:
    """A running instance without an agent of its own. Tests share it, so each makes what it changes."""
    environ = {"AIWORKER_AGENTS": "0", "AIWORKER_IMPORT_ALLOW": urlsplit(import_url).netloc}
    environ["AIWORKER_WRITES_PER_MINUTE"] = "100000"  # one administrator makes everything that all tests change
    folder = tmp_path_factory.mktemp("instance")
    with running(folder, **environ) as instance, requests.Session() as session:
        yield Platform(instance, session, tmp_path_factory.mktemp("agents"), import_url)


@pytest.fixture
def admin(platform: Platform) -> Caller:
    return platform.admin


@pytest.fixture
def agent(platform: Platform) -> FakeAgent:
    return platform.agent()
