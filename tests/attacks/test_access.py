"""Every route × every principal: refused with the right status, and told no more than of what does not exist."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from tests.attacks.access import PUBLIC, RUN, TABLE, Principal, Row, refusal
from tests.attacks.house import House
from tests.web import factories

MISSING = {
    "project_id": factories.MISSING_ID, "task_id": factories.MISSING_ID, "group_id": factories.MISSING_ID,
    "run_id": factories.MISSING_ID, "deployment_id": factories.MISSING_ID, "job_id": factories.MISSING_ID,
    "question_id": f"q-{factories.MISSING_ID}", "proposal_id": factories.MISSING_ID, "test_id": factories.MISSING_ID,
    "attachment_id": factories.MISSING_ID, "picture_id": factories.MISSING_ID, "sha": "f" * 40,
}  # fmt: skip


def _routes(app: Flask) -> set[str]:
    return {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def _filled(text: str, ids: dict[str, str]) -> str:
    for name, value in ids.items():
        text = text.replace(f"{{{name}}}", value)
        for converter in ("", "id:", "agent_id:", "question_id:", "int:", "path:"):
            text = text.replace(f"<{converter}{name}>", value)
    return text


def _call(house: House, route: str, row: Row, who: Principal, ids: dict[str, str]) -> Any:
    method, path = _filled(route, ids).split(" ", 1)
    body = None if row.body is None else json.loads(_filled(json.dumps(row.body), ids))
    return house.app.test_client().open(path, method=method, json=body, headers=who.headers)


def test_every_route_has_a_row(house: House) -> None:
    assert _routes(house.app) == set(TABLE)


@pytest.mark.parametrize("route", [route for route, row in TABLE.items() if row.needs != PUBLIC])
def test_who_may_not_call_is_refused_and_told_nothing(house: House, route: str) -> None:
    row = TABLE[route]
    missing = {**house.ids, **MISSING}
    for who in house.principals:
        expected = refusal(row, who)
        if expected is None:
            continue
        reply = _call(house, route, row, who, house.ids)
        assert reply.status_code == expected, (who.name, reply.data)
        assert b"Acquisition" not in reply.data, who.name
        assert b"Secret plan" not in reply.data, who.name
        if who.in_project is None and (row.hides or row.names or row.needs == RUN):
            assert _without_ids(reply, house.ids) == _without_ids(_call(house, route, row, who, missing), missing), (
                who.name
            )


def _without_ids(reply: Any, ids: dict[str, str]) -> tuple[int, bytes]:
    """What a caller learns: a message may repeat the id that was sent."""
    text = reply.data
    for value in ids.values():
        text = text.replace(value.encode(), b"ID") if len(value) > 8 else text
    return reply.status_code, text


@pytest.mark.parametrize("route", [route for route, row in TABLE.items() if row.needs != PUBLIC])
def test_who_may_call_is_let_in(house: House, route: str) -> None:
    """By the least of those who may. What became of the object before is all one: it is the door that is looked at."""
    row = TABLE[route]
    admitted = [who for who in house.principals if refusal(row, who) is None]
    least = min(admitted, key=lambda who: (who.role or 0, who.in_project or 0))

    reply = _call(house, route, row, least, house.ids)

    assert reply.status_code not in {401, 403}, (least.name, reply.data)
    assert reply.status_code < 500 or reply.status_code == 503, (least.name, reply.data)
