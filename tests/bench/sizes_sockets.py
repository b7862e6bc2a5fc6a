"""What the relay's events cost with more sockets on one process."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator

from common import feed
from tests.bench.figures import Figure
from tests.bench.machine import LOAD_CORES, cpu_seconds, pinned
from tests.bench.served import Platform
from tests.bench.sizes_promised import Axis, Cost, Promise
from tests.bench.ws import Side, a_project, an_event, fan_out, ours
from tests.bench.ws_load import Crowd

SIZES = (10, 100, 1_000, 10_000)
WINDOW = 8
"""Events published at once."""
UNHEARD = 1_000
"""Events published at once that nobody listens to."""
SECONDS = 1.0
JOINED_AT_LEAST = 500
"""The kernel counts CPU in hundredths of a second: fewer sockets cost too little to be counted."""


def figures_of(own: Platform, times: int, most: int) -> Iterator[Figure]:
    """The settings are the platform's."""
    axis = Axis("socket", "sockets", SIZES).upto(most)
    with (
        pinned(LOAD_CORES), ours(own) as side, Crowd(side.url, side.says) as crowd,
        _elsewhere(own, side) as unheard,
    ):  # fmt: skip
        for size in axis.sizes:
            new = size - len(crowd.sockets)
            cpu = cpu_seconds(side.pid)
            crowd.join(new)
            joined = (cpu_seconds(side.pid) - cpu) / new * 1e6
            if new >= JOINED_AT_LEAST:
                yield JOIN.at(axis, size, [joined])
            yield DELIVERY.at(axis, size, [fan_out(side, crowd, WINDOW, SECONDS)[1] for _ in range(times)])
            yield PASSED_OVER.at(axis, size, [unheard() for _ in range(times)])


DELIVERY = Cost("CPU of the relay for a delivery", Promise.LINEAR, "µs", is_of_one=True)
PASSED_OVER = Cost("CPU of the relay for an event that nobody listens to", Promise.FLAT, "µs")
JOIN = Cost("CPU of the relay for one more socket", Promise.FLAT, "µs", since=1_000)


@contextlib.contextmanager
def _elsewhere(own: Platform, side: Side) -> Iterator[Callable[[], float]]:
    """Yields what measures the CPU, in µs, of an event that nobody listens to.

    One client listens to a project of its own: what it gets shows how far the relay has read.
    """
    heard, unheard = (a_project(side.url, own.token) for _ in range(2))
    subscribe = json.dumps({"event": "subscribe", "data": {"projectId": heard}}).encode()
    with Crowd(side.url, [side.says[0], subscribe]) as listener:
        listener.join(1)
        event = an_event("unheard").decode()
        batch = [feed.Entry("ephemeral", unheard, message=event)] * UNHEARD
        batch.append(feed.Entry("ephemeral", heard, message=event))

        def measure() -> float:
            published, cpu, began = 0, cpu_seconds(side.pid), time.perf_counter()
            while time.perf_counter() - began < SECONDS:
                feed.publish(batch)
                listener.gather(listener.received + 1)
                published += UNHEARD
            return (cpu_seconds(side.pid) - cpu) / published * 1e6

        yield measure
