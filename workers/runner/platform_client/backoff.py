"""The pauses between tries of a call to a platform that is unavailable."""

from __future__ import annotations

import random

from common.errors import ProviderUnavailable
from common.machine.waiting import growing_delay

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 10.0


class Backoff:
    """Exponential back-off with full jitter: 0.5 s at first, at most 10 s."""

    def __init__(self) -> None:
        self._failures = 0

    def next_seconds(self, error: ProviderUnavailable | None = None) -> float:
        """Return how long to wait before the next try: at least the server's Retry-After, at most 10 s."""
        self._failures += 1
        bound = growing_delay(self._failures, first_seconds=FIRST_DELAY_SECONDS, longest_seconds=LONGEST_DELAY_SECONDS)
        asked = (error.retry_after_seconds if error else None) or 0.0
        return max(random.uniform(0, bound), min(asked, LONGEST_DELAY_SECONDS))  # noqa: S311 (jitter, not a secret)

    def reset(self) -> None:
        self._failures = 0
