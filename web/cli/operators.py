"""The callers of commands that run directly on the platform's database, and what such a command leaves behind.

Loads the database's libraries: a command that only calls the API does not import this module.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import structlog

from common.errors import Misconfigured, NotFound
from common.jobs import announcer
from common.services.people import accounts, tokens
from common.services.requests.access import Caller, acting
from common.services.requests.paging import MOST, PageQuery
from common.services.upkeep.schema import require_current
from common.settings.platform_address import read_platform_address
from common.values.names import new_request_id
from common.values.states import Role

LOCAL_TOKEN_SECONDS = 3600
RENEWAL_SECONDS = 600
"""How long before its end a command's own token is replaced: longer than one request, or one push, takes."""
PARTING_SECONDS = 10.0
"""How long a command may take, after all it does, to tell other processes: more than a frozen Redis costs."""


@contextlib.contextmanager
def operator_session() -> Iterator[None]:
    """Record events in the name of the local operator. Leaving closes the connections.

    See common.jobs.announcer.close.
    """
    with _warnings_only():
        try:
            with acting("operator", new_request_id()):
                yield
        finally:
            announcer.close(PARTING_SECONDS)


@contextlib.contextmanager
def _warnings_only() -> Iterator[None]:
    """Log warnings to standard error, and nothing else: a command's output may be read by a program.

    Does nothing in a process whose logs are configured.
    """
    if structlog.is_configured():
        yield
        return
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.reset_defaults()


@contextlib.contextmanager
def own_token() -> Iterator[Callable[[], str]]:
    """A function that returns an API token of the first administrator, for one command.

    It makes a new token, and deletes the one before, when that is about to expire. Leaving deletes the last one.
    """
    with operator_session():
        own = _OwnToken(first_administrator())
        try:
            yield own.current
        finally:
            own.delete()


class _OwnToken:
    def __init__(self, by: Caller) -> None:
        self._by = by
        self._made: tokens.NewApiToken | None = None
        # By the clock of the machine: a monotonic one stands still while the machine sleeps.
        self._expires_at = datetime.now(UTC)

    def current(self) -> str:
        now = datetime.now(UTC)
        if self._made is None or self._expires_at - now < timedelta(seconds=RENEWAL_SECONDS):
            expires_at = now + timedelta(seconds=LOCAL_TOKEN_SECONDS)
            made = tokens.create_api_token(by=self._by, name="command line", expires_at=expires_at, is_recorded=False)
            self.delete()
            self._made, self._expires_at = made, expires_at
        return self._made.token

    def delete(self) -> None:
        if self._made is not None:
            with contextlib.suppress(NotFound):  # somebody revoked it meanwhile
                tokens.delete_api_token(self._made.row.id, by=self._by, is_recorded=False)


def operator() -> Caller:
    """Caller for commands that run directly on the database: has an administrator's rights and no user account.

    Raises Misconfigured if there is no database with this version's schema.
    """
    found = read_platform_address()
    found.require_open("set AIWORKER_DATA_DIR")
    if not (found.data_dir.is_dir() or found.has_database):
        raise Misconfigured(
            f"there is no platform here: {found.data_dir} does not exist; set AIWORKER_DATA_DIR to the platform's data "
            f"directory, or make a new platform: aiworker up, or aiworker db upgrade"
        )
    require_current()
    return Caller("", "operator", Role.ADMIN)


def first_administrator() -> Caller:
    """The administrator whose tokens the operator uses by default: the oldest active one, so a new one changes nothing.

    Raises Misconfigured if there is none.
    """
    root, first, cursor = operator(), None, None
    while True:
        found = accounts.list_users(root, PageQuery(MOST, cursor=cursor))  # newest first
        active = [user for user in found.items if user.is_active and user.role >= Role.ADMIN]
        first, cursor = active[-1] if active else first, found.next_cursor
        if cursor is None:
            break
    if first is None:
        raise Misconfigured("there is no active administrator; make one: aiworker user add NAME --role admin")
    return Caller(first.id, first.username, Role.ADMIN)
