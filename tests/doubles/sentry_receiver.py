"""A receiver of error reports, as a Sentry server takes them: keeps every event that it is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.doubles.post_receiver import Answer, PostReceiver


class SentryReceiver(PostReceiver):
    """raw: the bodies, unpacked."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.raw: list[bytes] = []

    @property
    def dsn(self) -> str:
        return f"http://abcdef0123456789@{self.host}/1"

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.raw.append(body)
        self.events += _events(body)
        return Answer(body=b"{}")

    def of(self, service: str) -> list[dict[str, Any]]:
        return [event for event in list(self.events) if event["tags"]["service"] == service]


def _events(envelope: bytes) -> list[dict[str, Any]]:
    """An envelope is a line of its own, then two for each item: a heading and the item."""
    lines = [json.loads(line) for line in envelope.splitlines() if line]
    pairs = zip(lines[1::2], lines[2::2], strict=True)
    return [item for heading, item in pairs if heading["type"] == "event"]
