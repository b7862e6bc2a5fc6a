"""How a command ends: everything is told, and no thread or connection is left that the exit could wait for."""

from __future__ import annotations

import pytest

from common.events import feed
from common.jobs.announcer import Announcement, Announcer
from tests.long_waits import LONG_WAIT_SECONDS


@pytest.mark.usefixtures("plain_app")
def test_what_was_announced_is_published_before_the_end() -> None:
    announcer = Announcer()

    for number in range(50):
        announcer.announce(Announcement(entries=[feed.Entry("wake", str(number))]))
    assert announcer.stop(LONG_WAIT_SECONDS)
    assert feed.client(timeout=60).xlen(feed.stream_name()) == 50

    announcer.announce(Announcement(entries=[feed.Entry("wake", "again")]))
    assert announcer.stop(LONG_WAIT_SECONDS)
    assert feed.client(timeout=60).xlen(feed.stream_name()) == 51
