"""A receiver of the outgoing webhook: keeps what it gets, and answers as it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.doubles.post_receiver import Answer, PostReceiver


@dataclass(frozen=True)
class Received:
    """headers: names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class WebhookReceiver(PostReceiver):
    """status, headers, said: of every answer from now on.

    may_answer: waited for before each answer; set at first. is_silent: it answers nothing.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.status, self.said = 204, b""
        self.headers: dict[str, str] = {}
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.is_silent = False

    @property
    def url(self) -> str:
        return f"http://{self.host}/hook?token=1"

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer | None:
        self.received.append(Received(path, headers, body))
        self.may_answer.wait(60)
        if self.is_silent:
            return None
        return Answer(self.status, self.said, self.headers)

    def __exit__(self, *error: object) -> None:
        self.may_answer.set()
        super().__exit__(*error)
