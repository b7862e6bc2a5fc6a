"""The first hour at the page: nothing is there yet, and not all that is given is right."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from common.states import Role
from tests.web.page_reader import PageReader
from tests.web.world import World

pytestmark = pytest.mark.slow


def test_a_key_is_not_given_to_a_provider_of_the_same_name_elsewhere(
    at_the_page: Callable[[str, Role], PageReader], plain_world: World
) -> None:
    local = {"name": "anthropic", "api": "anthropic", "baseUrl": "http://127.0.0.1:9", "login": "none"}
    bob = plain_world.client_of("bob", Role.ADMIN)
    assert bob.post("/api/model-providers", json=local).status_code == 201
    ada = at_the_page("ada", Role.ADMIN)
    ada.open("#/welcome")
    expect(ada.see("provider-test")).to_be_visible()
    ada.see("connect-secret").fill("sk-ant-right")

    ada.see("connect-save").click()

    expect(ada.page.get_by_role("alert")).to_contain_text("already a model provider named anthropic")
    (stored,) = bob.get("/api/model-providers").json["modelProviders"]
    assert (stored["login"], stored["hasKey"]) == ("none", False)
