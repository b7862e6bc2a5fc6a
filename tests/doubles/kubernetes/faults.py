"""A script of faults: what happens to which request instead of the usual."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field

APPLIED_FIRST = {"apply_then_500", "apply_then_reset"}


@dataclass
class Fault:
    """match: a regular expression on `METHOD /path?query`. nth: which of those it matches, from 1; 0 means every one;
    -1 the first of each different request.

    do: a status (`500`, `409`, `429`, `403`, `422`), `not_ready` (a 403 that says so), `page` (of a proxy, with status
    200), `hang`, `reset`, or one that lets the request take effect first: `apply_then_500`, `apply_then_reset`.
    """

    match: str
    do: str
    nth: int = 1
    seen: int = field(default=0, compare=False)


class Faults:
    """The script; `struck` counts what came of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._script: list[Fault] = []
        self._made: set[str] = set()
        self.struck = 0

    def add(self, match: str, do: str, *, nth: int = 1) -> None:
        with self._lock:
            self._script.append(Fault(match, do, nth))

    def add_for_each(self, match: str, do: str) -> None:
        """Every different request that matches suffers this the first time that it is made."""
        with self._lock:
            self._script.append(Fault(match, do, nth=-1))

    def clear(self) -> None:
        with self._lock:
            self._script.clear()
            self._made.clear()

    def next(self, request: str) -> str | None:
        """What to do to this request; None means to serve it."""
        with self._lock:
            found = None
            for fault in self._script:
                if re.search(fault.match, request):
                    fault.seen += 1
                    is_new = fault.nth == -1 and request not in self._made
                    if fault.nth in {0, fault.seen} or is_new:
                        found = found or fault.do
            self._made.add(request)
            self.struck += found is not None
            return found
