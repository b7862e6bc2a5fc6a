"""Answers of a Gitea that trips over itself, and how often they are doubted before anybody hears of them.

Two things are seen on a busy server, most of all on an old one with SQLite (`database table is locked`): it answers a
call with 500; and it fails to look up whose token it was sent and goes on as if nobody had sent one
(services/auth/oauth2.go in Gitea 1.15 to 1.17), so that a private repository is not found and whatever needs a user is
a 401. A job would come again after the first; the second would be believed for good; a person who reads a diff would
see both. So such an answer is asked for again, where that is safe: a read always is, and a 401 has changed nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from common.errors import ProviderUnavailable

T = TypeVar("T")

PAUSES = (0.1, 0.6)
"""Seconds before the second and the third try."""


class Interrupted(ProviderUnavailable):
    """The connection was cut, or refused."""


def doubts(method: str, status: int) -> int:
    """How many times such an answer is not believed: 0 where it always is."""
    if status == 401 or (status >= 500 and method == "GET"):
        return len(PAUSES)
    # Common and mostly true: a second look is enough.
    return int(status == 404 and method == "GET")


def ask_again(ask: Callable[[], T], is_doubtful: Callable[[T, int], bool]) -> T:
    """What is answered, asked for again while `is_doubtful(answer, how many before it)` and it is not the last try.

    Whatever `ask` raises is raised; Interrupted at the last try only.
    """
    for count, pause in enumerate(PAUSES):
        try:
            answer = ask()
        except Interrupted:
            pass
        else:
            if not is_doubtful(answer, count):
                return answer
        time.sleep(pause)
    return ask()
