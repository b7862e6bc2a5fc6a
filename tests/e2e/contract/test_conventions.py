"""What holds for every endpoint: who may call, what errors look like, what a repeated POST does."""

from __future__ import annotations

import pytest

from tests.e2e.contract.caller import NOWHERE, Caller, faults
from tests.e2e.contract.platform import Platform

ENDPOINTS = """\
POST /auth/logout
GET /auth/me
GET /users
POST /users
PATCH /users/ID
DELETE /users/ID
GET /tokens
POST /tokens
DELETE /tokens/ID
POST /agents/enrolment-tokens
GET /projects
POST /projects
GET /projects/ID
PATCH /projects/ID
DELETE /projects/ID
POST /projects/ID/retry
GET /projects/ID/members
PUT /projects/ID/members/ID
DELETE /projects/ID/members/ID
GET /tasks
POST /tasks
GET /tasks/ID
PATCH /tasks/ID
POST /tasks/ID/respond
POST /tasks/ID/approve
POST /tasks/ID/reject
POST /tasks/ID/accept-lost-tests
POST /tasks/ID/accept-findings
POST /tasks/ID/overrule-review
GET /tasks/ID/tests
GET /projects/ID/tests
POST /projects/ID/tests/quarantine
POST /projects/ID/tests/release
POST /projects/ID/tests/test-base-again
POST /tasks/ID/cancel
POST /tasks/ID/retry
POST /tasks/ID/resume
POST /tasks/ID/comments
PATCH /tasks/ID/comments/ID
GET /tasks/ID/review
DELETE /tasks/ID/review
POST /tasks/ID/review/comments
PATCH /tasks/ID/review/comments/ID
DELETE /tasks/ID/review/comments/ID
POST /tasks/ID/review/submit
POST /tasks/ID/messages
POST /tasks/ID/take-over
POST /tasks/ID/hand-back
GET /tasks/ID/attachments
GET /tasks/ID/attachments/ID
DELETE /tasks/ID/attachments/ID
GET /tasks/ID/pictures/ID
GET /tasks/ID/diff
GET /tasks/ID/proposals
POST /tasks/ID/proposals/ID/accept
POST /tasks/ID/proposals/ID/dismiss
GET /tasks/ID/events
GET /runs/ID
GET /runs/ID/transcript
GET /forge/repositories
GET /model-providers
POST /model-providers
GET /model-providers/ID
PATCH /model-providers/ID
DELETE /model-providers/ID
GET /spend
GET /caps
GET /inbox
GET /board
PATCH /caps
GET /webhook
PATCH /webhook
POST /webhook/secret
POST /webhook/test
GET /webhook/deliveries
GET /webhook/deliveries/ID
POST /webhook/deliveries/ID/retry
GET /task-groups
POST /task-groups
GET /task-groups/ID
POST /task-groups/ID/deploy-staging
POST /task-groups/ID/deploy-production
POST /task-groups/ID/cancel
POST /task-groups/ID/remove
POST /task-groups/ID/retry
GET /task-groups/ID/release
GET /task-groups/ID/diff
GET /task-groups/ID/plan
GET /task-groups/ID/train
GET /task-groups/ID/tests/ID
GET /projects/ID/environments
GET /agents
GET /drivers
GET /agents/agent-000000000000
GET /agents/agent-000000000000/logs
POST /agents/agent-000000000000/drain
DELETE /agents/agent-000000000000
GET /receipts/ID
GET /deployments
GET /deployments/ID
GET /deployments/ID/logs
POST /deployments/ID/rollback
GET /jobs
GET /jobs/ID
POST /jobs/ID/retry
GET /events
GET /metrics
POST /runner/register
POST /runner/heartbeat
POST /runner/claim
POST /runner/runs/ID/logs
POST /runner/runs/ID/progress
POST /runner/runs/ID/usage
POST /runner/runs/ID/questions
GET /runner/runs/ID/questions/q-ID
GET /runner/runs/ID/messages
GET /runner/runs/ID/attachments/ID
GET /runner/runs/ID/task
GET /runner/runs/ID/feedback
GET /runner/runs/ID/tasks
POST /runner/runs/ID/proposals
POST /runner/runs/ID/review
PUT /runner/runs/ID/session
GET /runner/runs/ID/session
POST /runner/runs/ID/finish
"""
ALL = [(line.split()[0], line.split()[1].replace("ID", NOWHERE)) for line in ENDPOINTS.splitlines()]
BODIES = {
    "/respond": {"questionId": f"q-{NOWHERE}", "response": "x"},
    "/reject": {"reason": "x"},
    "/accept-lost-tests": {"names": ["x"]},
    "/tests/quarantine": {"name": "x", "reason": "x"},
    "/tests/release": {"name": "x"},
    "/accept-findings": {"names": ["x"]},
    "/overrule-review": {"reason": "x"},
    "/comments": {"body": "x"},
    f"{NOWHERE}/comments/{NOWHERE}": {"resolved": True},
    f"/comments/{NOWHERE}": {"body": "x"},
    "/submit": {"verdict": "comment", "body": "x"},
    "/messages": {"text": "x"},
    "/remove": {"taskId": NOWHERE},
    f"/members/{NOWHERE}": {"role": "member"},
}
OF_ONE = [(method, path) for method, path in ALL if "0000" in path and not path.startswith("/runner")]


@pytest.mark.parametrize("token", [None, "aiw_" + "x" * 40, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."])
def test_nothing_answers_without_a_valid_token(platform: Platform, token: str | None) -> None:
    caller = platform.anybody.bearing(token)

    for method, path in ALL:
        reply = caller.call(method, path, 401, json={})
        assert reply.json() == {"error": "Invalid or expired token"}, path


def test_the_public_endpoints_need_no_token(platform: Platform) -> None:
    for path in ("/health", "/health/live", "/health/ready", "/openapi.json", "/docs"):
        platform.anybody.call("GET", path, 200)
    platform.anybody.call("GET", f"{platform.url}/", 200)


def test_what_does_not_exist_is_a_404_in_the_founding_words(admin: Caller) -> None:
    for method, path in OF_ONE:
        body = next((body for end, body in BODIES.items() if path.endswith(end)), {})
        options = {} if method in {"GET", "DELETE"} else {"json": body}
        reply = admin.call(method, path, 404, **options)
        assert reply.json() == {"error": "Resource not found"}, path


@pytest.mark.parametrize(
    "place", ["projects", "tasks", "task-groups", "agents", "deployments", "jobs", "users", "tokens"]
)
def test_every_list_pages_alike(admin: Caller, place: str) -> None:
    key = {"task-groups": "taskGroups"}.get(place, place)

    page = admin.get(f"/{place}", limit=200)

    assert set(page) == {key, "total", "limit", "offset", "nextCursor"}
    assert isinstance(page["total"], int)
    for wrong in ({"limit": 0}, {"limit": 201}, {"limit": "x"}, {"offset": -1}, {"cursor": "nonsense"}):
        (name,) = wrong
        assert set(faults(admin.get(f"/{place}", 400, **wrong))) == {name}
