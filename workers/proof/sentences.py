"""Parts of the sentences that checks say."""

from __future__ import annotations

from collections.abc import Sequence

MOST_NAMED = 5


def first_of(names: Sequence[str]) -> str:
    """The first names, and how many more there are.

    >>> first_of(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
