"""Bounds the total time that a request waits for the database, so that a frozen server delays it by seconds only.

Only waits are counted, not the time between them, so long polls and pushes are not limited. Without a bound, as in
jobs, every wait has its usual timeout.
"""

from __future__ import annotations

import contextlib
import contextvars
import time
from collections.abc import Iterator
from dataclasses import dataclass

API_SECONDS = 4.0
"""Bound for one request. With SHORTEST_SECONDS it stays below the 5 s in which the API promises an answer."""
SHORTEST_SECONDS = 0.5
"""Every wait may take this long, so that a request can finish on a slow database."""


@dataclass
class _Left:
    seconds: float


_left: contextvars.ContextVar[_Left | None] = contextvars.ContextVar("patience", default=None)


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Inside, the sum of all waits is at most `seconds`, except that each wait may take SHORTEST_SECONDS."""
    token = _left.set(_Left(seconds))
    try:
        yield
    finally:
        _left.reset(token)


def bounded(usual_seconds: float) -> float:
    """The timeout of the next wait: usual_seconds, or less if the bound is nearly used up."""
    left = _left.get()
    return usual_seconds if left is None else min(usual_seconds, max(left.seconds, SHORTEST_SECONDS))


def is_over() -> bool:
    """Whether the bound is used up, so that a failed operation is not tried again."""
    left = _left.get()
    return left is not None and left.seconds <= 0


@contextlib.contextmanager
def waiting() -> Iterator[None]:
    """Count the time inside as waiting."""
    began = time.monotonic()
    try:
        yield
    finally:
        left = _left.get()
        if left is not None:
            left.seconds -= time.monotonic() - began
