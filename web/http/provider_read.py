"""Looking at the world for a reader: a diff, a log, a branch's head. At most 5 s, then the caller is told to come back.

Call it while no transaction is open. It never writes; a look that is late goes on by itself and is not heard any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from common.errors import ProviderUnavailable

T = TypeVar("T")

LOOK_SECONDS = 5.0


def look(read: Callable[[], T], what: str) -> T:
    """What `read` returns or raises. ProviderUnavailable (503) where it takes longer; `what` names it in the log."""
    found: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            found.append(read())
        except BaseException as error:  # noqa: BLE001 (raised again below, in the thread of whoever asked)
            raised.append(error)

    thread = threading.Thread(target=run, name=f"look at {what}", daemon=True)
    thread.start()
    thread.join(LOOK_SECONDS)
    if raised:
        raise raised[0]
    if not found:
        raise ProviderUnavailable(f"{what} could not be read within {LOOK_SECONDS:g} s")
    return found[0]
