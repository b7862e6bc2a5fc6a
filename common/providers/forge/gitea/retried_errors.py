"""Retries for error answers that a busy Gitea gives by mistake.

A busy server, most often an old one with SQLite (`database table is locked`), makes two mistakes. It answers a call
with 500. Or it fails to look up the token's user and treats the call as anonymous (services/auth/oauth2.go in Gitea
1.15 to 1.17): a private repository is answered with 404, and a call that needs a user with 401. A job repeats after a
500 but takes a 404 or 401 as final, and a person who opens a diff sees either one. So such a call is repeated here if
that is safe: a read always is, and a call that was answered with 401 has changed nothing.
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
    """The connection was closed or refused."""


def retries_for(method: str, status: int) -> int:
    """Return how many times to repeat a call with this answer; 0: the answer is final."""
    if status == 401 or (status >= 500 and method == "GET"):
        return len(PAUSES)
    # Common and usually correct: one retry is enough.
    return int(status == 404 and method == "GET")


def ask_with_retries(ask: Callable[[], T], is_doubtful: Callable[[T, int], bool]) -> T:
    """Call `ask` until `is_doubtful(answer, number of earlier tries)` is false, at most three times.

    Returns the last answer. Interrupted is retried too, and raised at the last try; other errors are raised at once.
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
