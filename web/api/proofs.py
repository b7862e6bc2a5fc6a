"""The tests of a task's proof: which ran, and what of the proof a person lets go."""

from __future__ import annotations

from marshmallow import fields, validate

from common.services.proof import scan_findings, test_review
from common.services.proof.verification import MOST_ACCEPTED
from common.services.review import skipped_agent_review
from common.values.states import Role
from common.values.testing.test_report import LONGEST_NAME, MOST_TESTS, TestResult
from web.api.tasks import WrittenTaskSchema
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, QueryInteger, body, query, reply, single
from web.http.fields import Choice, Line, Schema, Text

proofs = Blueprint("proofs", __name__, url_prefix="/api")

LONGEST_REASON = 500
_ACCEPTED = validate.Length(1, MOST_ACCEPTED, error=f"Must have 1 to {MOST_ACCEPTED} names")


class TestSchema(Schema):
    """name: unique in the report. seconds: null if the report does not say."""

    __test__ = False

    name = fields.String()
    result = Choice(TestResult)
    seconds = fields.Float(allow_none=True)


class TestsSchema(Schema):
    """commitSha: of the newest proof that ran tests; null: none did. problem: why nothing is known of its tests; then
    there are none. total: how many tests have the result that was asked for.
    """

    __test__ = False

    commit_sha = fields.String(allow_none=True)
    problem = fields.String(allow_none=True)
    total = fields.Integer()
    tests = fields.List(fields.Nested(TestSchema))


class ReadTestsSchema(Schema):
    """result: only tests with this result."""

    result = Choice(TestResult, load_default=None)
    limit = QueryInteger(1, MOST_TESTS, load_default=1000)


class AcceptLostTestsSchema(Schema):
    """names: exactly as the proof's check lost_tests names them."""

    # Not Lines: the name of a test, or of a file with a finding, may contain invisible characters, or end with a space.
    names = fields.List(Text(LONGEST_NAME + 20, least=1), required=True, validate=_ACCEPTED)


@proofs.get("/tasks/<id:task_id>/tests")
@allow(Role.VIEWER)
@query(ReadTestsSchema)
@reply(TestsSchema)
def read_task_tests(task_id: str, result: str | None, limit: int) -> object:
    """The tests that ran in the task's newest proof."""
    found = test_review.read_tests(task_id, by=current_caller())
    wanted = [test for test in found.tests if result is None or test.result == result]
    shown = wanted[:limit]
    return {"commit_sha": found.commit_sha, "problem": found.problem, "total": len(wanted), "tests": shown}


@proofs.post("/tasks/<id:task_id>/accept-lost-tests")
@allow(Role.MAINTAINER)
@body(AcceptLostTestsSchema)
@reply(single("task", WrittenTaskSchema))
def accept_lost_tests(task_id: str, names: list[str]) -> object:
    """Let lost tests go, in every proof of the task. Once all are, the refused commit is proven again, and the refusal
    does not count."""
    return test_review.accept_lost_tests(task_id, names, by=current_caller())


class AcceptFindingsSchema(Schema):
    """names: as the proof's checks secrets and dependencies name them, each before `: ` in a line of their log."""

    names = fields.List(Text(LONGEST_NAME + 20, least=1), required=True, validate=_ACCEPTED)


@proofs.post("/tasks/<id:task_id>/accept-findings")
@allow(Role.MAINTAINER)
@body(AcceptFindingsSchema)
@reply(single("task", WrittenTaskSchema))
def accept_findings(task_id: str, names: list[str]) -> object:
    """Let what the scans found go, in every proof of the task. Once all of a scan is, the refused commit is proven
    again, and the refusal does not count."""
    return scan_findings.accept_findings(task_id, names, by=current_caller())


class OverruleReviewSchema(Schema):
    """reason: why; it is on the task, and in the receipt of the version that the commit gets into."""

    reason = Line(LONGEST_REASON, required=True)


@proofs.post("/tasks/<id:task_id>/overrule-review")
@allow(Role.MAINTAINER)
@body(OverruleReviewSchema)
@reply(single("task", WrittenTaskSchema))
def overrule_review(task_id: str, reason: str) -> object:
    """Go on with the proven commit without the review by another agent. What is pushed later is reviewed again. Whoever
    may not approve the task may not do this either."""
    return skipped_agent_review.overrule_review(task_id, reason, by=current_caller())
