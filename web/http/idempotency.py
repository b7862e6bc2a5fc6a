"""Idempotency-Key: a POST with a key that was answered before gets the stored answer again, byte for byte.

What a person does is stored in the transaction of its effect. An agent's request may wait for seconds and be large, and
has one effect however often it is sent: its answer is stored afterwards, and so is that of a view marked
`@stored_afterwards`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from flask import Response, g, request

from common.errors import Invalid
from common.services.agent_api.agent_api import AgentPrincipal, RunPrincipal
from common.services.requests.access import Caller, recording_grants
from common.services.requests.idempotency import LONGEST_KEY, Answer, KeyedRequest, find_answer, keep_answer, once
from web.http.auth import Principal
from web.http.blueprint import body_bytes


def answer(view: object, act: Callable[[], Response]) -> Response:
    """Act, or return the stored reply to the same Idempotency-Key, byte for byte.

    `@read_before` reads before acting.
    """
    read_before: Callable[..., object] | None = getattr(view, "read_before", None)
    asked = _keyed(view)
    is_afterwards = asked is not None and (asked.caller is None or getattr(view, "is_stored_afterwards", False))
    # What was answered needs no more reading: the provider may be away, or show another state by now.
    if asked is not None and (is_afterwards or read_before is not None) and (stored := find_answer(asked)) is not None:
        return _reply(stored)
    if read_before is not None:
        g.seen = read_before(**(request.view_args or {}))
    if asked is None:
        return act()
    return _act_and_keep(asked, act) if is_afterwards else _reply(once(asked, act, _rendered))


def _keyed(view: object) -> KeyedRequest | None:
    """The request, if its answer is to be stored; None if not."""
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    principal: Principal = g.get("principal")
    if key is None or request.method != "POST" or principal is None or not getattr(view, "is_replayed", True):
        return None
    if not 1 <= len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise Invalid("Idempotency-Key", f"Must have 1 to {LONGEST_KEY} printable characters")
    most_bytes: int | None = getattr(view, "most_bytes", None)
    if most_bytes is not None:
        request.max_content_length = most_bytes
    caller = principal if isinstance(principal, Caller) else None
    found = hashlib.sha256(body_bytes())
    if caller is not None and request.query_string:
        # The name of a file. In an agent's query is only how long it waits.
        found.update(b"?" + request.query_string)
    return KeyedRequest(key, _owner(principal), caller, f"POST {request.path}", found.hexdigest())


def _owner(principal: Caller | AgentPrincipal | RunPrincipal) -> str:
    if isinstance(principal, Caller):
        return f"user:{principal.user_id}"
    return f"run:{principal.run_id}" if isinstance(principal, RunPrincipal) else f"agent:{principal.agent_id}"


def _act_and_keep(asked: KeyedRequest, act: Callable[[], Response]) -> Response:
    with recording_grants() as grants:
        response = act()
    if response.status_code >= 400:
        return response
    kept = keep_answer(asked, *_rendered(response), grants)
    return _reply(kept) if kept.is_replayed else response


def _rendered(response: Response) -> tuple[int, bytes]:
    return response.status_code, response.get_data()


def _reply(kept: Answer) -> Response:
    response = Response(kept.body, kept.status, content_type="application/json")
    if kept.is_replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response
