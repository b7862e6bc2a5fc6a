"""How long a caller waits for the database in all, so that a frozen server costs a request seconds and not a minute.

Only waits count, not the time between them: a long poll or a push may take as long as it likes. Without a bound, as in
jobs, every wait has its own usual length.
"""

from __future__ import annotations

import contextlib
import contextvars
import time
from collections.abc import Iterator
from dataclasses import dataclass

API_SECONDS = 4.0
"""For one request; with SHORTEST_SECONDS below the 5 s in which the API promises an answer."""
SHORTEST_SECONDS = 0.5
"""Every wait may take this long: a database that is slow but alive is used until the request is done."""


@dataclass
class _Left:
    seconds: float


_left: contextvars.ContextVar[_Left | None] = contextvars.ContextVar("patience", default=None)


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Inside, all waits together take at most so long, but for SHORTEST_SECONDS each."""
    token = _left.set(_Left(seconds))
    try:
        yield
    finally:
        _left.reset(token)


def for_one(usual_seconds: float) -> float:
    """How long the next wait may take."""
    left = _left.get()
    return usual_seconds if left is None else min(usual_seconds, max(left.seconds, SHORTEST_SECONDS))


def is_over() -> bool:
    """Whether all has been waited that may be: what failed is not tried again."""
    left = _left.get()
    return left is not None and left.seconds <= 0


@contextlib.contextmanager
def waiting() -> Iterator[None]:
    """The time inside counts as waited."""
    began = time.monotonic()
    try:
        yield
    finally:
        left = _left.get()
        if left is not None:
            left.seconds -= time.monotonic() - began
