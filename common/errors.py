"""The three families of errors.

The caller's (answered with a 4xx), the world's (tried again, or failing one row), and everything else, which
is a bug and is never caught. Messages name the thing and its id; they never hold a secret.
"""

from __future__ import annotations

import errno
from collections.abc import Callable


class CallerError(Exception):
    """Base of what a caller did wrong. Nothing has been written when it is raised."""


class Invalid(CallerError):
    """A value is wrong (400). `field` is the name in the request, dotted for a nested one."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class Unauthenticated(CallerError):
    """Nobody, or a token that is no longer good (401)."""

    def __init__(self, message: str = "Invalid or expired token") -> None:
        super().__init__(message)
        self.message = message


class Forbidden(CallerError):
    """The caller may see the thing but not do this to it (403)."""


class NotFound(CallerError):
    """There is no such thing for this caller (404): missing and foreign look the same."""


class Conflict(CallerError):
    """The thing is not in a state for this (409). The message names the present state.

    follow_up: a service call that has to happen because of the conflict, made in a transaction of its own after the
    request's was rolled back; None for none.
    """

    def __init__(self, message: str, *, field: str = "state", follow_up: Callable[[], object] | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.message = message
        self.follow_up = follow_up


class IllegalTransition(Conflict):
    """A state change for which there is no edge, or none for this actor."""


class KeyReused(CallerError):
    """An Idempotency-Key was used again with another body (422)."""


class Busy(Exception):
    """The database could not be reached or locked in time (503): nothing was written, the request may be sent again.

    Where `field` is set, the reply's details give it and the message.
    """

    field: str | None = None


class DiskFull(Busy):
    """There is no room left to write (503): nothing was written."""

    field = "disk"

    def __init__(self) -> None:
        super().__init__("the disk is full, so nothing can be written; make room on the platform's or database's disk")


class CommitUnknown(Busy):
    """COMMIT's answer was lost (503): the change was made or not, and nobody here can tell.

    Only with the same Idempotency-Key may the request be sent again unseen. A job goes on from its row, which the
    fence guards: it was recorded and is no longer this worker's, or it was not and is done again.
    """

    field = "commit"

    def __init__(self) -> None:
        super().__init__(
            "the database's answer to COMMIT was lost, so the change may have been made; send the request again with "
            "its Idempotency-Key, or look before repeating it"
        )


class LeaseLost(Exception):
    """Another worker has taken the job over; whatever this one did in its transaction is rolled back."""


class ProviderUnavailable(Exception):
    """The world did not answer, or answered that it can't now. The same call may be made again later.

    retry_after_seconds: what the other side asked for; None means the caller's own back-off.
    """

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class CutShort(ProviderUnavailable):
    """A step of the platform's own was ended before it was done: by its time limit, a signal, or a full disk.

    Nothing is known about what it worked on. The same step may succeed later, but each attempt costs as much as the
    last one, so attempts are counted (MOST_RETRIES) and waited for. retry_after_seconds: how long the attempt took.
    """


MOST_RETRIES = 3
"""How often a step that was cut short is tried again."""
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What an OSError of a machine without room says: no disk, no descriptors, no memory."""


class AccessDenied(ProviderUnavailable):
    """The world says that this account may not do that. An API server that is starting says so of everybody, so it is
    final only if it lasts; what waits for it goes on when access is back.

    is_granted: by the other side's own review the account may do it: something else than its rights is in the way.
    """

    def __init__(self, message: str, *, is_granted: bool = False) -> None:
        super().__init__(message)
        self.is_granted = is_granted


class ProviderRefused(Exception):
    """The world said no, and will say so again. `code` is stable; the message is for a person."""

    def __init__(self, message: str, *, code: str = "refused") -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Misconfigured(Exception):
    """A setting, program or server is missing or wrong. One line that names it and the remedy."""
