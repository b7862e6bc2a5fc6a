"""What a group merges counts as tested when the repository's own CI says so too: missing never passes, and nobody is
blamed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from common import jobs
from common.models import GroupMember, Job, Project, Task, TaskGroup
from common.services.delivery import task_groups, trains
from common.services.projects import projects
from common.transaction import Transaction, transactional
from tests.doubles.gitea.model import User
from tests.workers.elsewhere import Elsewhere
from tests.workers.jobs.test_train import approved

pytestmark = pytest.mark.slow

BUILD, LINT = "ci/build", "ci/lint"
JOB = "CI / build (push)"
TESTS = "true # the project's tests"


class Merging:
    """A group of two approved tasks. The project requires these statuses since they were proven."""

    id: str

    def __init__(self, platform: Elsewhere, *contexts: str, **values: Any) -> None:
        self.platform = platform
        self.project: Project = platform.project(**values)
        self.repo = platform.repo(self.project)
        self.bot = platform.server.person("ci-bot", writes=(self.project.repository_owner, self.project.slug))
        self.members = approved(platform, self.project, {"a": "hello\n"}, {"b": "hello\n"})
        projects.update_project(self.project.id, {"required_statuses": list(contexts)}, by=platform.max)

    def start(self, target: str = "staging") -> None:
        """Make the group, and have the platform look as far as it can."""
        self.id = self.platform.group(*self.members, target_branch=target).id
        self.look()

    @property
    def group(self) -> TaskGroup:
        found: TaskGroup = self.platform.get(TaskGroup, self.id)
        return found

    @property
    def sha(self) -> str:
        """The merged commit."""
        sha = self.group.head_sha
        assert sha is not None
        return sha

    @property
    def checks(self) -> dict[str, tuple[str, str]]:
        view = task_groups.read_task_group(self.id, by=self.platform.max)
        assert {check.commit_sha for check in view.checks} <= {self.group.head_sha}
        return {check.name: (check.status, check.message) for check in view.checks}

    def look(self) -> None:
        """Have the platform look until the group waits for the CI, or is over."""
        self.platform.run_jobs(until=self._is_still)

    def _is_still(self) -> bool:
        group, left = self.group, {job.kind for job in self.platform.all(Job, Job.state_ == "queued")}
        waits = group.build.statuses is not None and group.build.statuses.says != ""
        return not self.platform.due() and (not left or (waits and left == {jobs.MERGE_GROUP.name}))

    def look_again(self) -> None:
        """As if it were time to look again."""
        _make_due(self.id)
        self.look()

    def set(self, context: str, state: str, *, by: User | None = None, sha: str = "", **about: str) -> None:
        self.platform.server.set_status(self.repo, sha or self.sha, context, state, by=by or self.bot, **about)

    def let_pass(self, minutes: float) -> None:
        _waited_longer(self.id, minutes)

    def retry(self) -> None:
        task_groups.retry_task_group(self.id, by=self.platform.max)
        self.look()

    def blames_nobody(self) -> bool:
        members = self.platform.all(GroupMember, GroupMember.group_id == self.id)
        states = {self.platform.get(Task, member.task_id).state for member in members}
        return [member.removed_reason for member in members] == [None, None] and states == {"approved"}


@transactional
def _make_due(tx: Transaction, group_id: str) -> None:
    for job in tx.all(_merge(group_id)):
        job.next_at = tx.now()


def _merge(group_id: str) -> Any:
    return select(Job).where(Job.kind == jobs.MERGE_GROUP.name, Job.subject_id == group_id, Job.state_ == "queued")


@transactional
def _waited_longer(tx: Transaction, group_id: str, minutes: float) -> None:
    group = tx.lock(TaskGroup, group_id)
    assert group.build.statuses is not None
    since = group.build.statuses.since - timedelta(minutes=minutes).total_seconds()
    group.build = replace(group.build, statuses=replace(group.build.statuses, since=since))


def test_a_pending_status_holds_the_group_and_then_it_goes_to_staging(plain: Elsewhere) -> None:
    merging = Merging(plain, BUILD, LINT, test_command=TESTS)
    merging.start("production")
    merging.set(BUILD, "pending")
    merging.look_again()

    assert merging.group.state == "merging"
    assert merging.checks == {
        "tests": ("passed", "The tests passed on the merged branch."),
        "statuses": ("running", "The repository's own CI is awaited: ci/lint is missing, ci/build is pending."),
    }
    train = trains.read_train(merging.id, by=plain.max)
    assert train.step is not None
    assert train.step.step == "statuses"

    sha = merging.sha
    merging.set(BUILD, "success")
    merging.set(LINT, "warning")
    merging.look_again()

    assert (merging.group.state, merging.group.tested_sha, merging.group.error) == ("staging", sha, None)
    assert merging.checks["statuses"] == ("passed", "The repository's own CI passes: 2 required statuses.")


def test_a_missing_status_is_not_passing(plain: Elsewhere) -> None:
    merging = Merging(plain, BUILD)
    merging.start()
    assert merging.checks["tests"] == ("skipped", "The project names no tests.")
    merging.let_pass(minutes=61)
    merging.look_again()

    group = merging.group
    assert (group.state, group.tested_sha) == ("failed", None)
    assert merging.blames_nobody()
    assert merging.checks["statuses"][0] == "failed"

    # The CI of the former commit says nothing of the next one; of the same base and second it would be the same commit.
    merging.set(BUILD, "success")
    tree = plain.clone(merging.project)
    tree.commit({"meanwhile": "text\n"}, on="main")
    tree.push("main")
    merging.retry()
    assert (merging.group.state, merging.checks["statuses"][0]) == ("merging", "running")
    merging.set(BUILD, "success")
    merging.look_again()
    assert (merging.group.state, merging.group.problems) == ("merged", [])


def test_a_failed_status_fails_the_group_and_blames_no_member(plain: Elsewhere) -> None:
    merging = Merging(plain, BUILD, LINT)
    merging.start()
    merging.set(BUILD, "failure", description="2 tests failed", target_url="https://ci.example.org/8")
    merging.look_again()

    group = merging.group
    assert group.state == "failed"
    (problem,) = group.problems
    assert (problem["taskId"], problem["kind"]) == (None, "status_failed")
    assert "ci/build: failure by ci-bot: 2 tests failed: https://ci.example.org/8" in str(problem["detail"])
    assert merging.blames_nobody()
