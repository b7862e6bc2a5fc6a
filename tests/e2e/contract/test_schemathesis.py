"""Requests made up from the API's own description: no 5xx, nothing undocumented, every reply as described."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS

from tests.e2e.contract.platform import Platform

pytestmark = pytest.mark.slow

EXAMPLES = 3
WANTED = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")
# A logged out caller tells nothing more; a claim waits; the admin of this instance stays.
LEFT_OUT = ("/api/auth/", "/api/runner/", "/api/webhooks/", "/api/health", "/metrics", "/api/metrics")


def test_made_up_requests_are_answered_as_described(platform: Platform) -> None:
    description = schemathesis.openapi.from_url(f"{platform.url}/api/openapi.json")
    checks: Any = CHECKS.get_by_names(list(WANTED))
    problems: list[str] = []
    for found in description.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        if operation.path.startswith(LEFT_OUT):
            continue

        @settings(
            max_examples=EXAMPLES, database=None, derandomize=True, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy())
        def ask(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(
                base_url=platform.url, headers={"Authorization": f"Bearer {platform.admin.token}"}, checks=checks
            )

        try:
            ask()
        except BaseException as error:  # noqa: BLE001 — hypothesis raises groups; all are shown together below.
            problems.append(f"{operation.label}: {error}")
    # Any agent may do the tasks of a sample, those of the other tests here too.
    for project in platform.admin.all_of("/projects", "projects"):
        if project["starter"] == "sample":
            platform.admin.delete(f"/projects/{project['id']}", 202)
    assert not problems, "\n\n".join(problems)
