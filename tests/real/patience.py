"""What a job does with a server that is really there: the same call later, while it can't now."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from common.errors import ProviderUnavailable

T = TypeVar("T")


def again_slowly(call: Callable[[], T], *, seconds: float = 60.0) -> T:
    """What the call returns. Raises the last ProviderUnavailable."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except ProviderUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


class Patient:
    """A provider whose every verb is called so."""

    def __init__(self, provider: object) -> None:
        self._provider = provider

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._provider, name)
        if not callable(found):
            return found
        return lambda *given, **named: again_slowly(lambda: found(*given, **named))
