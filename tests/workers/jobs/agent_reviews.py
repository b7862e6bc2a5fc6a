"""A task whose work was reported in a project with a review by another agent, and that agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from common.models import Project, Run, Task, TaskCheck
from common.services.agent_api import agent_api
from common.services.review.agent_verdicts import NewVerdict, submit_review
from common.values.runs.claimed_run import ClaimedRun
from common.values.states import Outcome
from common.values.testing.agent_review import ReviewComment, Verdict
from tests.workers.platform import Platform

DONE = {"a.txt": "a\n"}
REVIEWER = "acp"
"""A driver that needs no provider of models."""
APPROVED = NewVerdict(Verdict.APPROVE, "It does what the task asks for.")
CHANGES = NewVerdict(
    Verdict.REQUEST_CHANGES,
    "The greeting is wrong.",
    [ReviewComment("a.txt", 1, "Say b."), ReviewComment("index.html", 7, "This is old.")],
)


class ReviewedTask:
    """A task whose work was reported, in a project with a review. reviewer: an agent with the reviewer's driver."""

    def __init__(self, platform: Platform, mode: str = "advisory", *, has_reviewer: bool = True, **review: Any) -> None:
        self.platform = platform
        wanted = {"mode": mode, "driver": REVIEWER, **review}
        self.project: Project = platform.project(agent_review=wanted)
        self.task: Task = platform.task(self.project)
        self.work = platform.claim()
        self.sha = platform.push(self.work, DONE)
        platform.finish(self.work, self.sha)
        self.reviewer = platform.agent(driver=REVIEWER) if has_reviewer else ""

    def until(self, holds: Callable[[], bool]) -> None:
        self.platform.run_jobs(until=holds)

    def claim(self) -> ClaimedRun:
        """The review, as the reviewer's agent gets it."""
        self.until(self._has_review)
        claimed = agent_api.claim_run(self.reviewer)
        assert claimed is not None
        agent_api.record_heartbeat(self.reviewer, [claimed.run.id])
        return claimed

    def _has_review(self) -> bool:
        """The agent is heard of, however long the proof takes that comes before."""
        agent_api.record_heartbeat(self.reviewer, [])
        return agent_api.has_claimable_run(self.reviewer)

    def say(self, claimed: ClaimedRun, verdict: NewVerdict) -> None:
        submit_review(agent_api.authenticate_run(claimed.run.token), verdict)

    def end(self, claimed: ClaimedRun, outcome: Outcome = Outcome.COMPLETED, **how: Any) -> None:
        about = {"commit_sha": claimed.clone.commit, "summary": "", "reason": None, **how}
        agent_api.finish_run(claimed.run.id, outcome=outcome, **about)

    def review(self, verdict: NewVerdict) -> ClaimedRun:
        """The whole of a review; then the platform has made up its mind."""
        claimed = self.claim()
        self.say(claimed, verdict)
        self.end(claimed)
        self.settle()
        return claimed

    def settle(self) -> None:
        self.until(lambda: self.now.phase != "verifying")

    @property
    def now(self) -> Task:
        task: Task = self.platform.get(Task, self.task.id)
        return task

    @property
    def state(self) -> tuple[str, str | None]:
        return str(self.now.state), self.now.phase

    @property
    def check(self) -> TaskCheck:
        (check,) = self.platform.all(TaskCheck, TaskCheck.run_id == self.work.run.id, TaskCheck.name == "agent_review")
        found: TaskCheck = check
        return found

    @property
    def verdict(self) -> tuple[str, str | None]:
        return self.check.status, self.check.code

    @property
    def reviews(self) -> list[Run]:
        runs = self.platform.all(Run, Run.task_id == self.task.id, Run.purpose == "review")
        return sorted(runs, key=lambda run: (run.created_at, run.id))

    def is_waiting(self) -> bool:
        of_work = (TaskCheck.run_id == self.work.run.id, TaskCheck.name == "agent_review")
        found = self.platform.all(TaskCheck, *of_work)
        return bool(found) and found[0].status == "running"
