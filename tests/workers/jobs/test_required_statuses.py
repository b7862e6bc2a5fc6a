"""The repository's own CI is a proof: pending waits, but not for ever, missing never passes, and only the CI counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests

from common.jobs.catalogue import VERIFY_RUN
from common.models import Comment, Job, Project, Run, Task, TaskCheck
from common.transaction import Transaction, transactional
from common.values.runs.claimed_run import ClaimedRun
from tests.doubles.gitea.model import User
from tests.workers.gitea_and_cluster import GiteaAndCluster

pytestmark = pytest.mark.slow

BUILD, LINT = "ci/build", "ci/lint"
JOB = "CI / build (push)"


class Claim:
    """A task whose agent has pushed a commit and reported it. The project requires these statuses."""

    def __init__(self, platform: GiteaAndCluster, *contexts: str) -> None:
        self.platform = platform
        self.project: Project = platform.project(required_statuses=list(contexts))
        self.repo = platform.repo(self.project)
        self.bot = platform.server.person("ci-bot", writes=(self.project.repository_owner, self.project.slug))
        self.task: Task = platform.task(self.project)
        self.claimed: ClaimedRun = platform.claim()
        self.sha = platform.push(self.claimed, {"a.txt": "a\n"})

    def finish(self) -> None:
        """Report the commit, and have the platform look until it waits for the CI, or is over."""
        self.platform.finish(self.claimed, self.sha)
        self.platform.run_jobs(until=self._is_still)

    def _is_still(self) -> bool:
        left = {job.kind for job in self.platform.all(Job, Job.state_ == "queued")}
        return self.check is not None and left <= {VERIFY_RUN.name}

    def end(self) -> None:
        """Have it look until it waits no longer."""
        self.platform.run_jobs(until=lambda: self.check is None or self.check.status != "running")
        self.platform.run_jobs()

    def set(self, context: str, state: str, *, by: User | None = None, sha: str = "", **about: str) -> None:
        self.platform.server.set_status(self.repo, sha or self.sha, context, state, by=by or self.bot, **about)

    def let_pass(self, minutes: float) -> None:
        _finished_earlier(self.claimed.run.id, minutes)

    @property
    def check(self) -> TaskCheck | None:
        found = self.platform.all(TaskCheck, TaskCheck.run_id == self.claimed.run.id, TaskCheck.name == "statuses")
        return found[0] if found else None

    @property
    def verdict(self) -> tuple[str, str | None, str]:
        """The check's status and code, and the task's state."""
        task: Task = self.platform.get(Task, self.task.id)
        check: Any = self.check
        return (check.status, check.code, str(task.state)) if check is not None else ("none", None, str(task.state))

    def refusal_text(self) -> str:
        """What the agent is told of the refusal."""
        (comment,) = self.platform.all(Comment, Comment.task_id == self.task.id, Comment.kind == "refusal")
        return str(comment.body)


@transactional
def _finished_earlier(tx: Transaction, run_id: str, minutes: float) -> None:
    run = tx.get(Run, run_id)
    assert run.finished_at is not None
    run.finished_at -= timedelta(minutes=minutes)


def test_a_pending_status_waits_and_then_passes(plain: GiteaAndCluster) -> None:
    claim = Claim(plain, BUILD, LINT)
    claim.set(BUILD, "pending")
    claim.finish()
    assert claim.verdict == ("running", None, "in_progress")
    assert claim.check is not None
    assert claim.check.message == "The repository's own CI is awaited: ci/lint is missing, ci/build is pending."

    claim.set(BUILD, "success", description="12 passed", target_url="https://ci.example.org/7")
    claim.set(LINT, "warning")
    claim.end()

    assert claim.verdict == ("passed", None, "ready_to_test")
    assert claim.check.facts == {"required": 2}
    assert (claim.check.log or "").splitlines() == [
        "ci/build: success by ci-bot: 12 passed: https://ci.example.org/7",
        "ci/lint: warning by ci-bot",
    ]


def test_a_missing_status_is_not_passing(plain: GiteaAndCluster) -> None:
    claim = Claim(plain, BUILD, LINT)
    claim.set(BUILD, "success")
    claim.finish()
    assert claim.verdict == ("running", None, "in_progress")

    claim.let_pass(minutes=61)
    claim.end()

    assert claim.verdict[:2] == ("failed", "status_missing")
    text = "status_missing: The repository's own CI did not end within 60 minutes: ci/lint is missing."
    assert claim.refusal_text().startswith(text)


def test_a_failed_status_goes_back_to_the_agent_at_once(plain: GiteaAndCluster) -> None:
    claim = Claim(plain, BUILD, LINT)
    claim.set(BUILD, "failure", description="2 tests failed", target_url="https://ci.example.org/8")
    claim.finish()

    assert claim.verdict[:2] == ("failed", "status_failed")
    assert plain.get(Task, claim.task.id).refusals == 1
    assert claim.refusal_text() == (
        "status_failed: The repository's own CI does not pass on this commit: ci/build (failure).\n\n"
        "ci/build: failure by ci-bot: 2 tests failed: https://ci.example.org/8\nci/lint: missing"
    )


def test_foreign_statuses_do_not_count(plain: GiteaAndCluster) -> None:
    """Of another commit, of the agent's user, of the platform's own, and of a user that is no more."""
    claim = Claim(plain, BUILD, JOB)
    clone = claim.claimed.clone
    assert clone.username is not None
    assert clone.password is not None
    claim.set(BUILD, "success", sha=claim.repo.refs()["refs/heads/main"])
    for context in (BUILD, JOB):
        reply = requests.post(
            f"{plain.server.url}/api/v1/repos/{claim.repo.owner}/{claim.repo.name}/statuses/{claim.sha}",
            json={"context": context, "state": "success"},
            auth=(clone.username, clone.password),
            timeout=30,
        )
        assert reply.status_code == 201
    claim.set(BUILD, "success", by=plain.server.admin)
    claim.finish()

    assert claim.verdict == ("running", None, "in_progress")
    assert clone.username not in plain.server.model.users
    assert claim.check is not None
    assert claim.check.message == f"The repository's own CI is awaited: ci/build is missing, {JOB} is missing."
