"""A hub ends with all of its threads, and the next one is as good."""

from __future__ import annotations

import threading

from flask import Flask

from common import feed
from common.feed import Entry
from web.websocket.hub import end_hub
from web.websocket.long_poll import Waiter


def its_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "hub"]


def test_a_hub_ends_with_its_threads_and_another_one_follows(plain_app: Flask) -> None:
    assert end_hub(1)
    for _ in range(2):
        assert its_threads() == []
        with Waiter("somebody", 60) as waiter:
            while not waiter.was_woken:
                feed.publish([Entry("wake", "somebody")])
                assert waiter.wait()
            assert end_hub(10)
            assert not waiter.wait()
