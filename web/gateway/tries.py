"""Decides what becomes of a call that a provider refuses for a limit.

The refusal is passed on to the CLI, which tries again by itself; or the call goes to the fallback; or it is refused for
good, so that the run ends and its task waits.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import structlog
from flask import Response

from common.masking import KNOWN_FORMATS
from common.services.spend.model_tokens import ModelAccess
from common.services.spend.provider_limits import clear_limit, mark_limited
from common.settings import settings
from common.values.model_provider import Route
from web.gateway.accesses import forget_run
from web.gateway.calls_at_once import BodyRoom
from web.gateway.limit_book import MOST_IN_A_ROW, book
from web.gateway.limits import Limit
from web.gateway.refused import Refused
from web.gateway.rerouting import rerouted
from web.gateway.streams import Call
from web.gateway.upstream import Request

log = structlog.get_logger()

UNKNOWN_LIMIT = timedelta(minutes=1)
"""How long calls go to the fallback before a provider that names no time is asked again."""


class Tries:
    """The providers that one call is sent to, one after the other. model: as the request names it. room: for copies of
    its body.
    """

    def __init__(self, access: ModelAccess, given: Request, model: str, room: BodyRoom) -> None:
        assert access.provider is not None
        self._access = access
        self._model = model
        self._given = given
        self._room = room
        self._first = Route(access.provider)
        self._times: list[datetime] = []
        self._reasons: list[str] = []
        self._is_for_payment = True
        self._reply: Response | None = None

    @functools.cached_property
    def _routes(self) -> list[Route]:
        """Those that are not known to be limited; if all are, all, as only they can tell whether they still are.

        Not looked for while the first provider takes the call: whether a fallback can is seen by a copy of the body.
        """
        everything = [self._first]
        if self._given.method == "POST":
            fallbacks = self._access.fallbacks
            everything += [one for one in fallbacks if rerouted(self._given, one, self._model) is not None]
        now = datetime.now(UTC)
        known = [book.limit_of(one, self._model, now) for one in everything]
        self._times += [at for at in known if at is not None]
        free = [route for route, at in zip(everything, known, strict=True) if at is None]
        return free or everything

    def requests(self) -> Iterator[tuple[Route, Request]]:
        """The routes, each with the request as it needs it. Raises Refused if there is no room for a copy of the body.

        A copy is made when its turn comes, and few calls need one.
        """
        is_free = book.limit_of(self._first, self._model, datetime.now(UTC)) is None
        if is_free:
            yield self._first, self._given
        for route in self._routes:
            if route is self._first:
                if not is_free:
                    yield route, self._given
                continue
            request = rerouted(self._given, route, self._model)
            # Else it would not be among the routes.
            assert request is not None
            copied_bytes = 0 if request.body is self._given.body else len(request.body)
            self._room.take(copied_bytes)
            yield route, request
            self._room.give_back(copied_bytes)

    def goes_on(self, route: Route, began: float, reply: Response, limit: Limit, *, is_paid: bool) -> bool:
        """Whether the call goes to the next route, or is refused if there is none. Else the reply is passed on.

        is_paid: False for calls that cost nothing: they mark nothing, and their limits are others.
        """
        self._reply = self._reply or reply
        has_fallback = route is not self._routes[-1]
        if not is_paid:
            return has_fallback
        chosen = settings().models
        in_a_row = book.note_refusal(self._access.task_id, began)
        longest_short = timedelta(seconds=chosen.short_limit_seconds)
        is_short = limit.until is not None and limit.until - limit.said_at <= longest_short
        if is_short and in_a_row < MOST_IN_A_ROW:
            return False
        until = None if is_short else limit.until
        is_last = not has_fallback and not self._reasons
        if is_last and (limit.is_for_payment or (until is None and in_a_row < MOST_IN_A_ROW)):
            return False
        self._is_for_payment = self._is_for_payment and limit.is_for_payment
        self._reasons.append(f"{route.provider.name}: {KNOWN_FORMATS(limit.reason)}")
        if until is not None:
            self._times.append(until)
        book.note_limit(route, self._model, until or limit.said_at + UNKNOWN_LIMIT)
        log.info(
            "a model provider is limited", provider=route.provider.name, run=self._access.run_id,
            until=until and until.isoformat(), reason=limit.reason,
        )  # fmt: skip
        return True

    def conclude(self) -> Response:
        """The reply when every route is limited. Raises Refused after the run was marked."""
        assert self._reply is not None, "there is a route, and its reply was refused"
        if not settings().models.parks_on_limits or not self._reasons or self._is_for_payment:
            return self._reply
        until = mark_limited(self._access.run_id, min(self._times, default=None), "; ".join(self._reasons))
        forget_run(self._access.run_id)
        raise Refused(400, _sentence(until))


def require_not_limited(access: ModelAccess) -> None:
    """Refuse the call if the run is limited, in the form that CLIs take as final: one that they tried again would keep
    the agent busy until the limit is over.
    """
    until = access.limited_until
    if until is not None and until > datetime.now(UTC) and settings().models.parks_on_limits:
        raise Refused(400, _sentence(until))


def note_answer(call: Call) -> None:
    """A provider took the call."""
    access = call.access
    if not call.is_recorded:
        return
    book.note_answer(access.task_id, Route(call.provider), call.model)
    if access.limited_until is not None:
        clear_limit(access.run_id)
        forget_run(access.run_id)


def _sentence(until: datetime) -> str:
    """Without the provider's words: OpenCode tries again whatever speaks of a rate limit, and takes `too many tokens`
    for a context that is too long. The task says them.
    """
    at = until.replace(microsecond=0).isoformat().replace("+00:00", "Z")
    return f"The usage limit of the model provider is reached until {at}, when this task goes on by itself"
