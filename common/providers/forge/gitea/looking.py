"""Looks at a server that may trip over itself: a read that fails is taken again within a second, before anybody hears.

An old Gitea on SQLite answers 500 (`database table is locked`) now and then when it has much to do, and every server
does while it restarts. A job would come again by itself; a person who reads a diff would see an error. Only reads are
taken again here, and only where the failure came at once: what changes something, or took its time, is left to the job.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from common.errors import ProviderUnavailable

T = TypeVar("T")

PAUSES = (0.2, 0.6)
"""Seconds before the second and the third look."""


class Interrupted(ProviderUnavailable):
    """The server answered with a fault of its own, or cut the connection."""


def look_again(look: Callable[[], T]) -> T:
    """What the look finds; what the last one raises if three in a row are Interrupted."""
    for pause in PAUSES:
        try:
            return look()
        except Interrupted:
            time.sleep(pause)
    return look()
