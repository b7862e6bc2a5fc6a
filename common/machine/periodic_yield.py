"""Lets others go on during long work. Under gevent, a computation otherwise stops every greenlet of its process."""

from __future__ import annotations

import time

AT_ONCE_SECONDS = 0.01
"""So long the work goes on before others may run."""


class PeriodicYield:
    """Call it often during long work: it lets other greenlets or threads run now and then.

    Not inside a transaction, which others may be waiting for.
    """

    def __init__(self) -> None:
        self._since = time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self._since >= AT_ONCE_SECONDS:
            time.sleep(0)
            self._since = time.monotonic()
