"""A browser that does not behave ends the talk with it in time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from common.machine.waiting import Deadline
from tests.patience import PATIENCE_SECONDS
from workers.devtools import BrowserGone, BrowserLate, DevTools, Message

NOISE = """yes '{"method":"Page.javascriptDialogOpening"}' | tr '\\n' '\\0'"""


@pytest.fixture
def pipes() -> Iterator[tuple[int, int]]:
    """The worker's ends, commands and answers, of pipes to a browser that talks without pause and never listens."""
    (deaf, commands), (answers, mouth) = os.pipe(), os.pipe()
    browser = subprocess.Popen(["sh", "-c", NOISE], stdout=mouth)
    os.close(mouth)
    yield commands, answers
    os.close(answers)
    browser.wait()
    os.close(deaf)
    os.close(commands)


def test_a_browser_that_never_pauses_is_late(pipes: tuple[int, int]) -> None:
    heard: list[Message] = []
    tools = DevTools(*pipes, heard.append)
    tools.wait(lambda: len(heard) > 1000, Deadline(PATIENCE_SECONDS))
    assert len(heard) == 1001

    with pytest.raises(BrowserLate):
        tools.call("Page.enable", Deadline(0))
    tools.wait(lambda: False, Deadline(0))

    assert len(heard) == 1001


def test_a_browser_that_never_listens_is_gone(pipes: tuple[int, int]) -> None:
    tools = DevTools(*pipes, lambda _event: None)

    def send_many() -> None:
        for _ in range(10_000):
            tools.send("Page.handleJavaScriptDialog", "session", accept=False)

    with pytest.raises(BrowserGone):
        send_many()
