"""The whole story by hand, by the mouse, in both schemes and on a wide and a narrow screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from tests.e2e import test_browser as by_hand
from tests.e2e.browser import Person
from tests.e2e.instance import Instance, running
from tests.e2e.origin import served_repository


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served_repository(tmp_path_factory.mktemp("origin")) as address:
        yield address


@pytest.fixture
def instance(tmp_path: Path, origin: str) -> Iterator[Instance]:
    with running(tmp_path, AIWORKER_IMPORT_ALLOW=urlsplit(origin).netloc) as started:
        yield started


@pytest.mark.timeout(900)
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_whole_task_is_done_by_hand(
    browser: Browser, instance: Instance, origin: str, scheme: str, width: int
) -> None:
    person = Person(browser, instance.url)
    person.page.set_viewport_size({"width": width, "height": 900})
    person.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    person.log_in("admin", instance.password)
    person.wait("live-status", state="on")

    by_hand.test_a_whole_task_is_done_by_hand(person, origin)
    person.close()
