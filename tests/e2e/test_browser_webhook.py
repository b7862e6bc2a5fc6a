"""The outgoing webhook on the page: set, tried, and told of what needs a person."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.doubles.webhook_receiver import WebhookReceiver
from tests.e2e.browser import Person
from tests.e2e.contract.caller import Caller

pytestmark = pytest.mark.slow


def test_an_admin_sets_the_webhook_and_sees_how_it_is_answered(reader: Person, quiet_api: Caller) -> None:
    with WebhookReceiver() as receiver:
        reader.go("Users and enrolment")
        reader.fill("webhook-url", "http://10.0.0.1/hook")
        reader.click("webhook-save")
        expect(reader.page.locator(".field.wrong")).to_contain_text("AIWORKER_OUTGOING_ALLOW")
        reader.fill("webhook-url", receiver.url)
        reader.page.get_by_label("Finished").uncheck()
        reader.click("webhook-save")

        reader.wait("webhook-test")
        webhook = quiet_api.get("/webhook")["webhook"]
        assert (webhook["url"], webhook["enabled"], "finished" in webhook["kinds"]) == (receiver.url, True, False)
        reader.click("webhook-secret-new")
        expect(reader.wait("secret")).to_contain_text("whsec_")

        receiver.status, receiver.said = 404, b"no such hook"
        reader.click("webhook-test")
        expect(reader.wait("webhook-delivery", state="given_up")).to_contain_text("it answered 404: no such hook")
        receiver.status = 200
        reader.click("webhook-again")
        expect(reader.wait("webhook-delivery", state="delivered")).to_contain_text("this is a test of the webhook")
        assert len({one.headers["webhook-id"] for one in receiver.received}) == 1

        reader.fill("webhook-url", "")
        reader.click("webhook-save")
        expect(reader.page.get_by_test_id("webhook-delivery")).to_have_count(0)
        assert quiet_api.get("/webhook")["webhook"]["url"] is None
    assert [problem for problem in reader.problems if "status of 400" not in problem] == []
