"""Decides what becomes of a call that a provider refuses for a limit.

The refusal is passed on to the CLI, which tries again by itself; or the call goes to the fallback; or it is refused for
good, so that the run ends and its task waits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import structlog
from flask import Response

from common.secrets.masking import KNOWN_FORMATS
from common.services.spend.model_tokens import ModelAccess
from common.services.spend.provider_limits import clear_limit, mark_limited
from common.settings import settings
from common.values.runs.model_provider import Route
from web.gateway.answers.known_limits import MOST_IN_A_ROW, process_limits
from web.gateway.answers.limit_reading import LONGEST_REASON, Limit
from web.gateway.answers.streams import Call
from web.gateway.concurrent_calls import BodyMemory
from web.gateway.refusal import Refused
from web.gateway.rerouting import rerouted
from web.gateway.token_cache import forget_run
from web.gateway.upstream import Request

log = structlog.get_logger()

PERMANENT_FAULTS = frozenset({401, 403, 404})
"""Statuses of a fallback whose key or model is wrong."""
FAULTS = PERMANENT_FAULTS | {502, 504}
"""And those by which the gateway says that it does not reach one."""
UNKNOWN_LIMIT = timedelta(minutes=1)
"""How long calls go to the fallback before a provider that names no time is asked again."""
SHORT_LIMIT_SECONDS = 10.0
"""A limit of at most this length is left to the CLIs, which try again by themselves: less than it takes to end a run
and to begin another one."""


class ProviderAttempts:
    """The providers that one call is sent to, one after the other. model: as the request names it. body_memory: for
    copies of its body.
    """

    def __init__(self, access: ModelAccess, given: Request, model: str, body_memory: BodyMemory) -> None:
        assert access.provider is not None
        self._access = access
        self._model = model
        self._given = given
        self._room = body_memory
        self._first = Route(access.provider)
        self._limits = Limits(access, model)
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
        known = [process_limits.limit_of(one, self._model, now) for one in everything]
        self._limits.times += [at for at in known if at is not None]
        free = [route for route, at in zip(everything, known, strict=True) if at is None]
        return free or everything

    def requests(self) -> Iterator[tuple[Route, Request]]:
        """The routes, each with the request as it needs it. Raises Refused if there is no room for a copy of the body.

        A copy is made when its turn comes, and few calls need one.
        """
        is_free = process_limits.limit_of(self._first, self._model, datetime.now(UTC)) is None
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
            self._room.mark_feedback_undelivered(copied_bytes)

    def tries_next_route(self, route: Route, began: float, reply: Response, limit: Limit, *, is_paid: bool) -> bool:
        """Whether the call goes to the next route, or is refused if there is none. Else the reply is passed on.

        is_paid: False for calls that cost nothing: they mark nothing, and their limits are others.
        """
        self._reply = self._reply or reply
        has_fallback = route is not self._routes[-1]
        return self._limits.note(route, began, limit, has_fallback=has_fallback) if is_paid else has_fallback

    def fault_of_fallback(self, route: Route, status: int, message: str | None) -> Limit | None:
        """What keeps a fallback from taking any call, as a limit; None for what it says of this call alone.

        Else a fallback with a wrong key would end the runs of tasks that can wait for the first provider.
        """
        if route is self._first or status not in FAULTS:
            return None
        reason = f"{message or f'it answered {status}'}"[:LONGEST_REASON]
        return Limit(reason, is_permanent=status in PERMANENT_FAULTS, said_at=datetime.now(UTC))

    def may_try_next_route(self, route: Route) -> bool:
        """Whether there may be a next route. Before the first has refused, it is not known whether that one can take
        the request.
        """
        is_known = "_routes" in self.__dict__
        return route is not self._routes[-1] if is_known else bool(self._access.fallbacks)

    def limit_within(self, route: Route, call: Call, refusals: int) -> Callable[[Limit], None]:
        """What is to be called with a limit that an answer tells of after it was passed on in part.

        refusals: in a row, which the answer seemed to end. Keeps nothing of the request: an answer may take an hour.
        """
        limits, has_fallback = self._limits, self.may_try_next_route(route)

        def note(limit: Limit) -> None:
            tries_next_route = limits.note(route, call.began, limit, has_fallback=has_fallback, earlier=refusals)
            if tries_next_route and not has_fallback:
                limits.park()

        return note

    def conclude(self) -> Response:
        """The reply when every route is limited. Raises Refused after the run was marked."""
        assert self._reply is not None, "there is a route, and its reply was refused"
        until = self._limits.park()
        if until is None:
            return self._reply
        raise Refused(400, _sentence(until))


class Limits:
    """The limits that one call has met, and what follows from them. times: when each is over that says so."""

    def __init__(self, access: ModelAccess, model: str) -> None:
        self._access = access
        self._model = model
        self.times: list[datetime] = []
        self._reasons: list[str] = []
        self._is_for_payment = True

    def note(self, route: Route, began: float, limit: Limit, *, has_fallback: bool, earlier: int = 0) -> bool:
        """Whether the limit keeps calls from the route for longer than the CLI can be left to try again."""
        in_a_row = process_limits.note_refusal(self._access.task_id, began, earlier)
        longest_short = timedelta(seconds=SHORT_LIMIT_SECONDS)
        is_short = limit.until is not None and limit.until - limit.said_at <= longest_short
        if is_short and in_a_row < MOST_IN_A_ROW:
            return False
        until = None if is_short else limit.until
        is_last = not has_fallback and not self._reasons
        is_passing = until is None and in_a_row < MOST_IN_A_ROW and not limit.is_permanent
        if is_last and (limit.is_for_payment or is_passing):
            return False
        if not (limit.is_permanent and self._reasons):
            self._is_for_payment = self._is_for_payment and limit.is_for_payment
        self._reasons.append(f"{route.provider.name}: {KNOWN_FORMATS(limit.reason)}")
        if until is not None:
            self.times.append(until)
        if not limit.is_permanent:
            process_limits.note_limit(route, self._model, until or limit.said_at + UNKNOWN_LIMIT)
        log.info(
            "a model provider is limited", provider=route.provider.name, run=self._access.run_id,
            until=until and until.isoformat(), reason=limit.reason,
        )  # fmt: skip
        return True

    def park(self) -> datetime | None:
        """Mark the run, so that its next call is refused and its task waits. Returns until when; None if it does not
        wait.
        """
        if not settings().models.parks_on_limits or not self._reasons or self._is_for_payment:
            return None
        until = mark_limited(self._access.run_id, min(self.times, default=None), "; ".join(self._reasons))
        forget_run(self._access.run_id)
        return until


def require_not_limited(access: ModelAccess) -> None:
    """Refuse the call if the run is limited, in the form that CLIs take as final: one that they tried again would keep
    the agent busy until the limit is over.
    """
    until = access.limited_until
    if until is not None and until > datetime.now(UTC) and settings().models.parks_on_limits:
        raise Refused(400, _sentence(until))


def note_answer(call: Call) -> int:
    """A provider took the call. Returns how many refusals in a row that ends."""
    access = call.access
    if not call.is_recorded:
        return 0
    refusals = process_limits.note_answer(access.task_id, Route(call.provider), call.model)
    if access.limited_until is not None:
        clear_limit(access.run_id)
        forget_run(access.run_id)
    return refusals


def _sentence(until: datetime) -> str:
    """Without the provider's words: OpenCode tries again whatever speaks of a rate limit, and takes `too many tokens`
    for a context that is too long. The task says them.
    """
    at = until.replace(microsecond=0).isoformat().replace("+00:00", "Z")
    return f"The usage limit of the model provider is reached until {at}, when this task goes on by itself"
