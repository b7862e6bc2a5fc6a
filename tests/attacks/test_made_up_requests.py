"""Requests made up from the API's own description, good and bad: never a 5xx, never anything undescribed."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS

from common.values.states import Role
from tests import builders
from tests.attacks.access import RUN
from tests.attacks.house import House

pytestmark = pytest.mark.slow

EXAMPLES = 4
REPLY_CHECKS = [
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance",
]  # fmt: skip
# Ending the caller's own login or token tells nothing more; a claim waits for work.
LEFT_OUT = ("/api/auth/", "/api/runner/claim", "/api/runner/register", "/api/runner/heartbeat", "/api/metrics")


def test_made_up_requests_about_what_exists_keep_to_the_description(house: House) -> None:
    """The ids of real rows in the path, so that the bodies come past the 404."""
    problems = _problems(house, house.ids, REPLY_CHECKS)

    # No supervisor runs here: a deployment's logs are a 503, as the description says.
    assert [problem for problem in problems if "[503]" not in problem] == []


def _problems(house: House, ids: dict[str, str], checks: list[str]) -> list[str]:
    description = schemathesis.openapi.from_wsgi("/api/openapi.json", house.app)
    admin = {"Authorization": f"Bearer {builders.a_token(builders.a_user(f'fuzz-{len(ids)}', Role.ADMIN))}"}
    run = next(who.headers for who in house.principals if who.kind == RUN and who.is_own_run)
    operations: list[Any] = [found.ok() for found in description.get_all_operations()]  # type: ignore[union-attr]
    # What deletes comes last.
    operations.sort(key=lambda operation: operation.method.upper() == "DELETE")
    problems = []
    for operation in operations:
        if operation.path.startswith(LEFT_OUT):
            continue
        headers = run if operation.path.startswith("/api/runner/") else admin
        problem = _problem(operation, headers, ids, CHECKS.get_by_names(checks))
        if problem is not None:
            problems.append(f"{operation.label}: {problem}")
    return problems


def _problem(operation: Any, headers: dict[str, str], ids: dict[str, str], checks: Any) -> BaseException | None:
    @settings(
        max_examples=EXAMPLES, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def ask(case: schemathesis.Case[Any]) -> None:
        named = {name: ids[name] for name in case.path_parameters or {} if name in ids}
        case.path_parameters = {**(case.path_parameters or {}), **named}
        case.call_and_validate(headers=headers, checks=checks)

    try:
        ask()
    except BaseException as error:  # noqa: BLE001 — hypothesis raises groups; all are shown together.
        return error
    return None
