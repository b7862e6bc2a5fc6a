"""Sending to the outgoing webhook: signed as published, to public addresses, once, and in bounded time."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from common.errors import Invalid
from common.providers.outgoing_webhook import check_webhook_address, send, signed_headers
from common.values.delivery.notice import Dispatch
from tests.doubles.webhook_receiver import WebhookReceiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as started:
        yield started


def dispatch(url: str, body: bytes = b'{"text": "Hello"}') -> Dispatch:
    return Dispatch("msg_p5jXN8AQM9LWM0D4loKWxJek", url, SECRET, body, datetime.fromtimestamp(1614265330, UTC))


def test_the_signature_is_that_of_the_published_example() -> None:
    """From the test of https://github.com/standard-webhooks/standard-webhooks/tree/main/libraries/python."""
    signed = signed_headers(dispatch("", b'{"test": 2432232314}'))

    assert signed == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_message_is_posted_with_its_signature(receiver: WebhookReceiver) -> None:
    answer = send(dispatch(receiver.url), [receiver.host])

    assert (answer.status, answer.error) == (204, None)
    (got,) = receiver.received
    assert (got.path, got.body) == ("/hook?token=1", b'{"text": "Hello"}')
    assert got.headers["content-type"] == "application/json"
    assert signed_headers(dispatch(receiver.url)).items() <= got.headers.items()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1/x", "private address"),
        ("http://169.254.169.254/latest/meta-data", "private address"),
        ("http://[::ffff:10.0.0.1]/", "private address"),
        ("http://0x7f.1/", "usual notation"),
        ("https://user:pass@example.org/", "no user name"),
        ("ftp://example.org/", "http:// or https://"),
    ],
)
def test_an_address_that_may_not_be_called_is_refused(url: str, says: str) -> None:
    with pytest.raises(Invalid, match=says) as refused:
        check_webhook_address(url, ())
    assert refused.value.field == "url"
    assert says in str(send(dispatch(url), ()).error)


def test_an_address_that_the_operator_allows_is_called() -> None:
    check_webhook_address("http://127.0.0.1:9/x", ["127.0.0.1"])
    check_webhook_address("https://chat.internal/hooks/1?wait=true", [])
    with pytest.raises(Invalid):
        check_webhook_address("http://127.0.0.1:9/x", ["127.0.0.1:8"])


@pytest.mark.parametrize("address", ["127.0.0.1", "fd00::1"])
def test_a_name_that_leads_to_a_private_address_is_not_called(
    monkeypatch: pytest.MonkeyPatch, receiver: WebhookReceiver, address: str
) -> None:
    port = int(receiver.host.partition(":")[2])

    def answer(*_arguments: object, **_options: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in ("93.184.216.34", address)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    refused = send(dispatch(f"http://hook.example.org:{port}/"), ())

    assert refused.status is None
    assert "hook.example.org resolves to a private address" in str(refused.error)
    assert receiver.received == []


def test_a_redirect_is_not_followed(receiver: WebhookReceiver) -> None:
    with WebhookReceiver() as elsewhere:
        receiver.status, receiver.headers = 307, {"Location": elsewhere.url}
        answer = send(dispatch(receiver.url), ["127.0.0.1"])

    assert answer.status == 307
    assert "redirects" in str(answer.error)
    assert elsewhere.received == []


def test_an_error_is_told_with_how_the_answer_began(receiver: WebhookReceiver) -> None:
    receiver.status, receiver.said, receiver.headers = 429, b"slow\x00down " * 10_000, {"Retry-After": "120"}
    answer = send(dispatch(receiver.url), [receiver.host])

    assert (answer.status, answer.error, answer.retry_after_seconds) == (429, "it answered 429", 120)
    assert answer.said.startswith("slow down slow down")
    assert len(answer.said) <= 500


def test_a_receiver_that_says_nothing_is_left(receiver: WebhookReceiver) -> None:
    receiver.may_answer.clear()
    answer = send(dispatch(receiver.url), [receiver.host], whole_seconds=0.3)

    assert answer.status is None
    assert "did not answer within 0.3 s" in str(answer.error)
