"""What a group merges counts as tested when the repository's own CI says so too: missing never passes, and nobody is
blamed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.models import GroupMember, Project, Task, TaskGroup
from common.services.delivery import merge_train, task_groups
from common.services.projects import projects
from common.transaction import Transaction, transactional
from tests.workers.gitea_and_cluster import GiteaAndCluster
from tests.workers.jobs.test_train import approved

pytestmark = pytest.mark.slow

BUILD, LINT = "ci/build", "ci/lint"


class Merging:
    """A group of two approved tasks, which is merged and waits for these statuses."""

    def __init__(self, platform: GiteaAndCluster, *contexts: str, target: str) -> None:
        self.platform = platform
        self.project: Project = platform.project()
        repo = platform.repo(self.project)
        self._bot = platform.server.person("ci-bot", writes=(repo.owner, repo.name))
        members = approved(platform, self.project, {"a": "hello\n"}, {"b": "hello\n"})
        projects.update_project(self.project.id, {"required_statuses": list(contexts)}, by=platform.max)
        self.id = platform.group(*members, target_branch=target).id
        self.wait()

    @property
    def group(self) -> TaskGroup:
        found: TaskGroup = self.platform.get(TaskGroup, self.id)
        return found

    @property
    def check(self) -> tuple[str, str]:
        view = task_groups.read_task_group(self.id, by=self.platform.max)
        assert {check.commit_sha for check in view.checks} == {self.group.head_sha}
        return next((check.status, check.message) for check in view.checks if check.name == "statuses")

    def wait(self) -> None:
        """Until the group waits for the CI."""
        self.platform.run_jobs(until=lambda: (now := self.group.build.statuses) is not None and now.says != "")

    def end(self) -> None:
        """Until it waits no longer."""
        self.platform.run_jobs(until=lambda: self.group.state != "merging")
        self.platform.run_jobs()

    def set(self, context: str, state: str) -> None:
        sha = str(self.group.head_sha)
        self.platform.server.set_status(self.platform.repo(self.project), sha, context, state, by=self._bot)


@transactional
def _waited_longer(tx: Transaction, group_id: str, minutes: float) -> None:
    group = tx.lock(TaskGroup, group_id)
    statuses = group.build.statuses
    assert statuses is not None
    group.build = replace(group.build, statuses=replace(statuses, since=statuses.since - minutes * 60))


def test_a_group_waits_for_its_statuses_and_then_goes_to_staging(plain: GiteaAndCluster) -> None:
    merging = Merging(plain, BUILD, LINT, target="production")
    sha = merging.group.head_sha
    assert merging.check == (
        "running", "The repository's own CI is awaited: ci/build is missing, ci/lint is missing.",
    )  # fmt: skip
    train = merge_train.read_train(merging.id, by=plain.max)
    assert train.step is not None
    assert train.step.step == "statuses"

    merging.set(BUILD, "success")
    merging.set(LINT, "warning")
    merging.end()

    assert (merging.group.state, merging.group.tested_sha, merging.group.error) == ("staging", sha, None)
    assert merging.check == ("passed", "The repository's own CI passes: 2 required statuses.")


def test_a_missing_status_fails_the_group_and_blames_nobody(plain: GiteaAndCluster) -> None:
    merging = Merging(plain, BUILD, target="staging")
    _waited_longer(merging.id, minutes=61)
    merging.end()

    assert (merging.group.state, merging.group.tested_sha, merging.check[0]) == ("failed", None, "failed")
    members = plain.all(GroupMember, GroupMember.group_id == merging.id)
    assert [member.removed_reason for member in members] == [None, None]
    assert {plain.get(Task, member.task_id).state for member in members} == {"approved"}

    # The CI of the former commit says nothing of the next one; of the same base and second it would be the same commit.
    merging.set(BUILD, "success")
    tree = plain.clone(merging.project)
    tree.commit({"meanwhile": "text\n"}, on="main")
    tree.push("main")
    task_groups.retry_task_group(merging.id, by=plain.max)
    merging.wait()
    assert (merging.group.state, merging.check[0]) == ("merging", "running")
    merging.set(BUILD, "failure")
    merging.end()
    assert [(one["taskId"], one["kind"]) for one in merging.group.problems] == [(None, "status_failed")]
