"""A group as a release: its contents and changes, its test runs, what deploying it would do, and what runs where."""

from __future__ import annotations

from marshmallow import fields

from common.services.delivery import merge_train, releases
from common.services.delivery.merge_train import Train
from common.services.delivery.releases import DeploymentPlan
from common.services.deployment import environments
from common.values.delivery.health_check import HealthState
from common.values.delivery.project_location import ProjectLocation
from common.values.states import Environment, Role, TaskState
from web.api.deployments import DeploymentSchema
from web.api.diffs import DiffSchema
from web.api.receipts import NamedReceiptSchema
from web.api.release_reads import count_commits, read_commits, read_default_head, read_diff
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, reply, single
from web.http.fields import Choice, Schema, Timestamp

release_views = Blueprint("releases", __name__, url_prefix="/api")

AGAINST = ("production", "base")
_NO_DIFF: dict[str, object] = {"base_sha": None, "head_sha": None, "files": (), "patch": "", "is_truncated": False}


class CommitSchema(Schema):
    """author: the name in the commit, which nobody has checked."""

    sha = fields.String()
    subject = fields.String()
    author = fields.String()
    at = Timestamp()


class ReleasedTaskSchema(Schema):
    id = fields.String()
    title = fields.String()
    labels = fields.List(fields.String())
    pr_number = fields.Integer(allow_none=True)
    pr_url = fields.String(allow_none=True)


class ReleaseSchema(Schema):
    """What is in the group, from baseSha to headSha, which are null until it has them.

    against: what baseSha is: `production`, the commit that production serves, or `base`, the head of the default branch
    that the group was built on (once it is delivered, and where production serves nothing). commits: the newest 200,
    without merges; commitCount: all; null if the forge does not have them. changelog: Markdown, made from the tasks.
    """

    against = Choice(AGAINST)
    base_sha = fields.String(allow_none=True)
    head_sha = fields.String(allow_none=True)
    tasks = fields.List(fields.Nested(ReleasedTaskSchema))
    commits = fields.List(fields.Nested(CommitSchema))
    commit_count = fields.Integer(allow_none=True)
    changelog = fields.String()


class ReleaseDiffSchema(DiffSchema):
    """The group's changes. against: what baseSha is; see the release."""

    against = Choice(AGAINST)


class MissingSchema(Schema):
    """kind: failed, under_way, asked, busy, not_staged, moved, other_version or dependency. detail: the sentence."""

    kind = fields.String()
    detail = fields.String()


class DeploymentPlanSchema(Schema):
    """What deploying the group to this environment would do.

    live: what serves there; null if nothing does. version: the number that the group's version would get. commitSha:
    null until the group is merged and tested. commitCount: how many commits it brings; null if that is not known.
    missing: why it can't be done now; empty if it can. accepts: what acceptRolledBack would accept; null if nothing.
    bringsBack: how many tasks that were rolled back return to production with it.
    """

    environment = Choice(Environment)
    live = fields.Nested(DeploymentSchema, allow_none=True)
    version = fields.Integer()
    commit_sha = fields.String(allow_none=True)
    commit_count = fields.Integer(allow_none=True)
    missing = fields.List(fields.Nested(MissingSchema))
    accepts = fields.String(allow_none=True)
    brings_back = fields.Integer()


class ReleasePlanSchema(Schema):
    """environments: staging and production, as far as they are still to come. mayAct: whether the caller may deploy:
    maintainers of the project and administrators may.
    """

    environments = fields.List(fields.Nested(DeploymentPlanSchema))
    task_count = fields.Integer()
    may_act = fields.Boolean()


class CarSchema(Schema):
    """A task that is in the group or was taken out, and its state now. mergedSha: the release branch's head after the
    merge; null before. removedReason: the kind of its problem, or `removed` for one that a person took out; null while
    it is in. laterPush: a SHA that was pushed too late and is not in it. rolledBackAt: as a task's.
    """

    task_id = fields.String(attribute="task.id")
    title = fields.String(attribute="task.title")
    state = Choice(TaskState, attribute="task.state")
    later_push = fields.String(attribute="task.later_push", allow_none=True)
    rolled_back_at = Timestamp(attribute="task.rolled_back_at", allow_none=True)
    approved_sha = fields.String(attribute="member.approved_sha")
    merged_sha = fields.String(attribute="member.merged_sha", allow_none=True)
    removed_reason = fields.String(attribute="member.removed_reason", allow_none=True)
    files = fields.List(fields.String())
    detail = fields.String()


class ListedGroupTestSchema(Schema):
    """One run of the tests. attempt: of the group; position: how many of its tasks the commit held, 0 for the default
    branch alone; taskId: the last of these. isKnown: the result of an earlier group for the same commit. reason: why it
    failed; null if it passed.
    """

    id = fields.String()
    attempt = fields.Integer()
    position = fields.Integer()
    task_id = fields.String(allow_none=True)
    commit_sha = fields.String()
    passed = fields.Boolean()
    is_known = fields.Boolean()
    reason = fields.String(allow_none=True)
    at = Timestamp()


class GroupTestSchema(ListedGroupTestSchema):
    """log: the end of its output, at most 30,000 characters."""

    log = fields.String()


class PresentStepSchema(Schema):
    """step: start, merge, test or statuses (of the repository's own CI). taskId, position: of the merge or the test;
    null for none. run: which test of this commit it is, from 1; null unless it is a test.
    """

    step = fields.String()
    task_id = fields.String(allow_none=True)
    position = fields.Integer(allow_none=True)
    run = fields.Integer(allow_none=True)


class TrainSchema(Schema):
    """attempt: raised by every rebuild. tasks: in the order of merging. tests: the newest 100 runs, oldest first.
    step: what goes on now; null unless the group is being merged.
    """

    attempt = fields.Integer(attribute="group.attempt")
    tasks = fields.List(fields.Nested(CarSchema), attribute="cars")
    tests = fields.List(fields.Nested(ListedGroupTestSchema))
    step = fields.Nested(PresentStepSchema, allow_none=True)


class HealthSpanSchema(Schema):
    """since, until: the first and last look that found the version in this state. restarts: how often its process had
    been restarted by then. reason: why it was failing; null otherwise.
    """

    deployment_id = fields.String()
    state = Choice(HealthState)
    reason = fields.String(allow_none=True)
    restarts = fields.Integer()
    since = Timestamp()
    until = Timestamp()


class NamedGroupSchema(Schema):
    id = fields.String()
    name = fields.String(attribute="label")


class EnvironmentSchema(Schema):
    """live: what serves; underWay: what is being deployed; taskGroup: the group whose version serves; null for none.

    receipt: of live; null for staging, and for a version of before there were receipts.
    health: the last 24 hours, oldest first. Nobody looked in the time between two spans that do not touch.
    """

    environment = Choice(Environment)
    live = fields.Nested(DeploymentSchema, allow_none=True)
    under_way = fields.Nested(DeploymentSchema, allow_none=True)
    task_group = fields.Nested(NamedGroupSchema, attribute="group", allow_none=True)
    receipt = fields.Nested(NamedReceiptSchema, allow_none=True)
    health = fields.List(fields.Nested(HealthSpanSchema))


class EnvironmentsSchema(Schema):
    environments = fields.List(fields.Nested(EnvironmentSchema))


@release_views.get("/task-groups/<id:group_id>/release")
@allow(Role.VIEWER)
@reply(single("release", ReleaseSchema))
def read_release(group_id: str) -> object:
    """What the group delivers: tasks, commits against what production serves, and a changelog."""
    found = releases.read_release(group_id, by=current_caller())
    commits = read_commits(found.location, found.base_sha, found.head_sha)
    return {
        "against": found.against, "base_sha": found.base_sha, "head_sha": found.head_sha, "tasks": found.tasks,
        "commits": commits.commits if commits else (), "commit_count": commits.total if commits else None,
        "changelog": found.changelog,
    }  # fmt: skip


@release_views.get("/task-groups/<id:group_id>/diff")
@allow(Role.VIEWER)
@reply(ReleaseDiffSchema)
def read_release_diff(group_id: str) -> object:
    """What the group changes in what production serves. Empty until it is merged."""
    found = releases.read_release(group_id, by=current_caller())
    diff = read_diff(found.location, found.base_sha, found.head_sha)
    shown = _NO_DIFF if diff is None else {name: getattr(diff, name) for name in _NO_DIFF}
    return {**shown, "against": found.against}


@release_views.get("/task-groups/<id:group_id>/plan")
@allow(Role.VIEWER)
@reply(single("plan", ReleasePlanSchema))
def plan_release(group_id: str) -> object:
    """What deploying the group to staging and to production would do now, and what is missing for it."""
    head = read_default_head(releases.read_release(group_id, by=current_caller()).location)
    plan = releases.plan_release(group_id, default_head=head, by=current_caller())
    shown = [_planned(plan.location, each) for each in plan.plans]
    return {"environments": shown, "task_count": plan.task_count, "may_act": plan.may_act}


@release_views.get("/task-groups/<id:group_id>/train")
@allow(Role.VIEWER)
@reply(single("train", TrainSchema))
def read_train(group_id: str) -> Train:
    """How the group is merged and tested: the order, what was taken out and why, and each test run."""
    return merge_train.read_train(group_id, by=current_caller())


@release_views.get("/task-groups/<id:group_id>/tests/<id:test_id>")
@allow(Role.VIEWER)
@reply(single("test", GroupTestSchema))
def read_group_test(group_id: str, test_id: str) -> object:
    """One test run of the group with its log."""
    return merge_train.read_test(group_id, test_id, by=current_caller())


@release_views.get("/projects/<id:project_id>/environments")
@allow(Role.VIEWER)
@reply(EnvironmentsSchema)
def read_environments(project_id: str) -> object:
    """Production and staging: what serves there, what is on its way, and the health of the last 24 hours."""
    return {"environments": environments.read_environments(project_id, by=current_caller())}


def _planned(location: ProjectLocation, plan: DeploymentPlan) -> object:
    base = plan.live.commit_sha if plan.live else None
    return {
        "environment": plan.environment, "live": plan.live, "version": plan.version, "commit_sha": plan.commit_sha,
        "missing": plan.missing, "accepts": plan.accepts,
        "brings_back": plan.brings_back, "commit_count": count_commits(location, base, plan.commit_sha),
    }  # fmt: skip
