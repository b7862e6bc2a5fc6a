"""How many calls each run has under way in this process, and how much memory their requests' bodies take.

A cap, or a limit, is checked before a call, by what is counted then. So calls that a run makes at once may pass it
together. How far is bounded by their number. The bodies are bounded too: one run could otherwise fill the process's
memory.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from web.gateway.refusal import Refused

MOST_WITH_A_CAP = 16
"""How many calls a run may have under way whose spending has a cap or a limit. CLIs with agents of their own make up to
ten at once, and a few beside them.
"""
MOST_AT_ONCE = 256
"""How many calls any run may have under way, and again how many of those that cost nothing."""
MOST_BODY_BYTES = 384 * 2**20
"""What the bodies of all requests may take that no provider has answered yet. A gateway's pod has 768 MiB."""
MOST_BODY_BYTES_OF_RUN = 128 * 2**20

_numbers: dict[tuple[str, bool], int] = {}
_body_bytes: dict[str, int] = {}
_changing = threading.Lock()


@contextlib.contextmanager
def under_way(run_id: str, *, is_paid: bool) -> Iterator[int]:
    """Count a call of the run. Yields how many calls of the run are under way with it, paid or unpaid ones.

    Raises Refused above MOST_AT_ONCE.
    """
    key = run_id, is_paid
    with _changing:
        number = _numbers[key] = _numbers.get(key, 0) + 1
    try:
        if number > MOST_AT_ONCE:
            raise Refused(503, f"A run may have {MOST_AT_ONCE} calls under way; try again", 1)
        yield number
    finally:
        with _changing:
            _numbers[key] -= 1
            if not _numbers[key]:
                del _numbers[key]


class BodyMemory:
    """The memory that the body of one request, and a copy for another provider, take while it is a context."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._bytes = 0

    def __enter__(self) -> BodyMemory:
        return self

    def take(self, more_bytes: int) -> None:
        """Count more bytes of the body. Raises Refused, with none of them counted, if there is no room for them."""
        with _changing:
            of_run = _body_bytes.get(self._run_id, 0) + more_bytes
            if of_run > MOST_BODY_BYTES_OF_RUN:
                raise Refused(503, "The requests of this run take too much memory at once; try again", 1)
            if sum(_body_bytes.values()) + more_bytes > MOST_BODY_BYTES:
                raise Refused(503, "The requests of all runs take too much memory at once; try again", 1)
            _body_bytes[self._run_id] = of_run
            self._bytes += more_bytes

    def mark_feedback_undelivered(self, fewer_bytes: int) -> None:
        """Count fewer bytes, which were taken."""
        with _changing:
            self._bytes -= fewer_bytes
            left = _body_bytes.get(self._run_id, 0) - fewer_bytes
            _body_bytes.pop(self._run_id, None)
            if left:
                _body_bytes[self._run_id] = left

    def __exit__(self, *_raised: object) -> None:
        self.mark_feedback_undelivered(self._bytes)
