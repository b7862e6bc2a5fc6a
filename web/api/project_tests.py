"""What is known of a project's tests beyond single proofs: a red default branch, and flaky tests."""

from __future__ import annotations

from marshmallow import fields

from common.services.proof import flaky_tests as services
from common.services.proof import red_base
from common.services.proof.project_tests import read_tests
from common.values.states import Role
from common.values.testing.auto_quarantine import Stopped
from common.values.testing.test_report import LONGEST_NAME
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, body, reply, single
from web.http.fields import Choice, Integer, Line, Schema, Text, Timestamp

project_tests = Blueprint("project_tests", __name__, url_prefix="/api")

MOST_DAYS = services.MOST_DAYS
USUAL_DAYS = 14


class RedBaseSchema(Schema):
    """commitSha: the head of the default branch whose tests fail. since: when one was first found red. tests: those
    that fail, at most 100; empty: nothing names them. log: the end of the output, secrets masked.
    """

    commit_sha = fields.String()
    since = fields.String()
    reason = fields.String()
    tests = fields.List(fields.String())
    log = fields.String()


class FlakyTestSchema(Schema):
    """flakedOn: on how many commits it was red and green. ranOn: on how many it ran since it is known. lastSha, lastAt:
    where it was last both. failedInQuarantine: on how many commits it failed while that counted for nothing.
    countedOn: how many flakes the project's autoQuarantine counts now. quarantinedUntil: until then its failures count
    for nothing; null: they count. quarantinedBy: who answers for that. quarantinedByRule: autoQuarantine put it there.
    """

    name = fields.String()
    flaked_on = fields.Integer()
    ran_on = fields.Integer()
    last_at = Timestamp(allow_none=True)
    last_sha = fields.String(allow_none=True)
    failed_in_quarantine = fields.Integer()
    counted_on = fields.Integer()
    quarantined_until = Timestamp(allow_none=True)
    quarantined_by = fields.String(allow_none=True)
    quarantine_reason = fields.String(allow_none=True)
    quarantined_by_rule = fields.Boolean(attribute="is_quarantined_by_rule")


class RuleStandingSchema(Schema):
    """The project's autoQuarantine. stopped: why it puts no test into quarantine now: `owner`, who may not maintain the
    project any more, or `full`, as mostQuarantined are there; null: it does.
    """

    commits = fields.Integer()
    days = fields.Integer()
    owner = fields.String()
    stopped = Choice(Stopped, allow_none=True)


class ProjectTestsSchema(Schema):
    """redBase: null unless the tests of the default branch are known to fail. flaky: those in quarantine first.
    autoQuarantine: null: maintainers put tests into quarantine by hand.
    """

    red_base = fields.Nested(RedBaseSchema, allow_none=True)
    most_quarantined = fields.Integer()
    auto_quarantine = fields.Nested(RuleStandingSchema, allow_none=True)
    flaky = fields.List(fields.Nested(FlakyTestSchema))


class QuarantineTestSchema(Schema):
    """name: exactly as the project's tests show it. days: for how long, from now on."""

    # Not a Line: the name of a test may contain invisible characters, or end with a space.
    name = Text(LONGEST_NAME + 20, least=1, required=True)
    days = Integer(1, MOST_DAYS, load_default=USUAL_DAYS)
    reason = Line(500, required=True)


class ReleaseTestSchema(Schema):
    name = Text(LONGEST_NAME + 20, least=1, required=True)


@project_tests.get("/projects/<id:project_id>/tests")
@allow(Role.VIEWER)
@reply(ProjectTestsSchema)
def read_project_tests(project_id: str) -> object:
    """Whether the default branch's own tests fail, and the tests that were red and green on one commit."""
    return read_tests(project_id, by=current_caller())


@project_tests.post("/projects/<id:project_id>/tests/test-base-again")
@allow(Role.MEMBER)
@reply(ProjectTestsSchema)
def have_base_tested_again(project_id: str) -> object:
    """Have the next proof or group test the red default branch again, as when an outage made it red. It stays red until
    then. Does nothing if it is not red."""
    red_base.have_base_tested_again(project_id, by=current_caller())
    return read_tests(project_id, by=current_caller())


@project_tests.post("/projects/<id:project_id>/tests/quarantine")
@allow(Role.MAINTAINER)
@body(QuarantineTestSchema)
@reply(single("test", FlakyTestSchema))
def quarantine_test(project_id: str, name: str, days: int, reason: str) -> object:
    """Let failures of a flaky test count for nothing for some days. The caller answers for it; at most
    `mostQuarantined` tests of the project at once. Again: from now on."""
    return services.quarantine(project_id, name, days=days, reason=reason, by=current_caller())


@project_tests.post("/projects/<id:project_id>/tests/release")
@allow(Role.MAINTAINER)
@body(ReleaseTestSchema)
@reply(single("test", FlakyTestSchema))
def release_test(project_id: str, name: str) -> object:
    """End a test's quarantine: its failures count again."""
    return services.release(project_id, name, by=current_caller())
