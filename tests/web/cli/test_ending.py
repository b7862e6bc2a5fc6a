"""How a command ends: everything is told, and no thread or connection is left that the exit could wait for."""

from __future__ import annotations

import threading

import pytest
from flask import Flask

from common import feed
from common.announcer import Announcement, Announcer
from common.states import Role
from tests import builders
from tests.patience import PATIENCE_SECONDS
from tests.web.cli.test_main import aiworker
from tests.web.world import served


def _announcers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "announcer"]


@pytest.mark.slow
def test_twenty_calls_in_a_row_end_without_a_thread(plain_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    of_other_tests = _announcers()
    builders.a_user("ada", Role.ADMIN)
    monkeypatch.delenv("AIWORKER_TOKEN", raising=False)
    with served() as url:
        monkeypatch.setenv("AIWORKER_URL", url)
        left = []
        for _call in range(20):
            aiworker("task", "list")
            left += [thread for thread in _announcers() if thread not in of_other_tests]

    assert left == []


@pytest.mark.usefixtures("plain_app")
def test_what_was_announced_is_published_before_the_end() -> None:
    announcer = Announcer()

    for number in range(50):
        announcer.announce(Announcement(entries=[feed.Entry("wake", str(number))]))
    assert announcer.stop(PATIENCE_SECONDS)
    assert feed.client(timeout=60).xlen(feed.stream_name()) == 50

    announcer.announce(Announcement(entries=[feed.Entry("wake", "again")]))
    assert announcer.stop(PATIENCE_SECONDS)
    assert feed.client(timeout=60).xlen(feed.stream_name()) == 51
