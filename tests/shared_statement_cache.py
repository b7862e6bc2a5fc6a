"""Keeps what SQLAlchemy compiled for one test's database for the databases of the tests after it.

Each test has an engine of its own, and an engine begins with an empty cache: without this, half of all statements that
the tests execute were compiled for it, which took a sixth of their time.
"""

from __future__ import annotations

from sqlalchemy import Engine
from sqlalchemy.util import LRUCache

from common.database import engines

MOST_STATEMENTS = 5000

_make = engines._make
_first: dict[tuple[str, bool], Engine] = {}


def share_compiled_statements() -> None:
    """From now on, all engines of this process for the same kind of database share what they compile."""
    engines._make = _make_sharing


def _make_sharing(url: str, *, reads: bool) -> Engine:
    made = _make(url, reads=reads)
    # A dialect object knows the name of its MariaDB database, and what the server is told at the connection.
    kind = ("sqlite" if made.dialect.name == "sqlite" else url, reads)
    first = _first.get(kind)
    if first is None or first.dialect.server_version_info is None:
        # One that has never been connected does not know what its server can do.
        made._compiled_cache = LRUCache(MOST_STATEMENTS)
        first = _first[kind] = made
    # A compiled statement belongs to the dialect object that it was compiled for.
    made.dialect, made._compiled_cache = first.dialect, first._compiled_cache
    return made
