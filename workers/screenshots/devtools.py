"""Speaks with Chromium over the two pipes of `--remote-debugging-pipe`: JSON, each message ended by a zero byte.

What the browser says is not believed: messages are bounded, and what is no message of the protocol ends the talk.
Source: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Mapping
from typing import cast

from common.machine.waiting import Deadline, wait_readable

MOST_MESSAGE_BYTES = 8 * 2**20
"""A picture of 1 MiB has 1.4 MiB here; those that are larger are only to be named as such."""

Message = Mapping[str, object]


class BrowserGone(Exception):
    """The browser has ended, or says what no browser says."""


class BrowserTimeout(Exception):
    """The browser did not say in time what was waited for."""


class DevTools:
    """commands, answers: descriptors to write to and to read from; they stay the caller's, and writing becomes
    non-blocking. on_event: called for each message that answers nothing, while one waits.
    """

    def __init__(self, commands: int, answers: int, on_event: Callable[[Message], None]) -> None:
        # A browser that does not read its commands would hold the worker.
        os.set_blocking(commands, False)
        self._commands, self._answers = commands, answers
        self._on_event = on_event
        self._numbers = itertools.count(1)
        self._heard = bytearray()

    def send(self, method: str, session: str | None = None, **parameters: object) -> int:
        """Send a command. Returns its number. Raises BrowserGone, also if the browser left so many unread that there is
        no room for it.
        """
        number = next(self._numbers)
        message: dict[str, object] = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        command = json.dumps(message).encode() + b"\0"
        try:
            written = os.write(self._commands, command)
        except OSError as error:
            raise BrowserGone from error
        if written < len(command):
            raise BrowserGone
        return number

    def call(self, method: str, deadline: Deadline, session: str | None = None, **parameters: object) -> Message:
        """Send a command and return its result; empty if the browser refuses it. Raises BrowserLate, BrowserGone."""
        number = self.send(method, session, **parameters)
        while True:
            message = self._read(deadline)
            if message.get("id") == number:
                return part(message, "result")
            self._on_event(message)

    def wait(self, is_there: Callable[[], bool], deadline: Deadline) -> None:
        """Read events until it holds, or to the deadline."""
        while not is_there():
            try:
                message = self._read(deadline)
            except BrowserTimeout:
                return
            self._on_event(message)

    def _read(self, deadline: Deadline) -> Message:
        if deadline.is_over:
            raise BrowserTimeout
        while b"\0" not in self._heard:
            if not wait_readable(self._answers, deadline.left_seconds):
                raise BrowserTimeout
            piece = os.read(self._answers, 2**16)
            if not piece or len(self._heard) > MOST_MESSAGE_BYTES:
                raise BrowserGone
            self._heard += piece
        content, _, rest = self._heard.partition(b"\0")
        self._heard = rest
        try:
            message = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise BrowserGone from error
        if not isinstance(message, dict):
            raise BrowserGone
        return cast("Message", message)


def part(message: Message, name: str) -> Message:
    """The object of this name in a message; empty if there is none."""
    found = message.get(name)
    return found if isinstance(found, dict) else {}


def text(message: Message, name: str) -> str:
    """The text of this name in a message; empty if there is none."""
    found = message.get(name)
    return found if isinstance(found, str) else ""
