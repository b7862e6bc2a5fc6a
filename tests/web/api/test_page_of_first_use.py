"""The first hour at the page: nothing is there yet, and not all that is given is right."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from common.states import Role
from tests.web.page_reader import PageReader


def test_a_wrong_key_is_replaced_where_it_was_given(at_the_page: Callable[[str, Role], PageReader]) -> None:
    ada = at_the_page("ada", Role.ADMIN)
    refusal = {"ok": False, "error": "The provider refuses the key.", "model": None, "latencyMs": None}
    ada.page.route("**/api/model-providers/*/test", lambda route: route.fulfill(json=refusal))
    sent: list[tuple[str, object]] = []
    ada.page.on(
        "request", lambda one: one.method in {"POST", "PATCH"} and sent.append((one.method, one.post_data_json))
    )
    ada.open("#/welcome")
    ada.see("connect-secret").fill("sk-ant-wrong")
    ada.see("connect-save").click()
    ada.see("provider-test").click()
    expect(ada.see("provider-tested")).to_contain_text("refuses the key")
    sent.clear()

    expect(ada.see("connect-save")).to_have_text("Replace key")
    ada.see("connect-secret").fill("sk-ant-right")
    ada.see("connect-save").click()

    expect(ada.see("connect-secret")).to_have_value("")
    assert sent == [("PATCH", {"login": "key", "key": "sk-ant-right", "enabled": True})]
    expect(ada.see("provider-test")).to_have_count(1)
    # What was said of the old one is not said of the new one.
    expect(ada.see("provider-tested")).to_have_count(0)
