"""How many calls each run has under way in this process.

A cap is checked before a call, by what is counted then. So calls that a run makes at once may pass its cap together.
How far is bounded by their number.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

MOST_WITH_A_CAP = 16
"""How many calls a run with a cap may have under way. CLIs with agents of their own make up to ten at once, and a few
beside them.
"""

_numbers: dict[str, int] = {}
_changing = threading.Lock()


@contextlib.contextmanager
def under_way(run_id: str) -> Iterator[int]:
    """Count a call of the run. Yields how many calls of the run are under way with it."""
    with _changing:
        number = _numbers[run_id] = _numbers.get(run_id, 0) + 1
    try:
        yield number
    finally:
        with _changing:
            _numbers[run_id] -= 1
            if not _numbers[run_id]:
                del _numbers[run_id]
