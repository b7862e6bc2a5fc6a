"""Reading from a provider while a caller waits: a diff, a log, a branch's head. After 5 s the reply is a 503.

Call it while no transaction is open. It only reads; a read that takes longer goes on in its thread, and its result is
dropped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from common.errors import ProviderUnavailable

T = TypeVar("T")

READ_SECONDS = 5.0


def read_in_time(read: Callable[[], T], what: str) -> T:
    """Return or raise what `read` does. Raises ProviderUnavailable (503) after 5 s; `what` names it in the log."""
    found: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            found.append(read())
        except BaseException as error:  # noqa: BLE001 (raised again below, in the caller's thread)
            raised.append(error)

    thread = threading.Thread(target=run, name=f"look at {what}", daemon=True)
    thread.start()
    thread.join(READ_SECONDS)
    if raised:
        raise raised[0]
    if not found:
        raise ProviderUnavailable(f"{what} could not be read within {READ_SECONDS:g} s")
    return found[0]
