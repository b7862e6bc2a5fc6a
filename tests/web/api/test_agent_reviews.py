"""A verdict as the reviewer's tools and the API take it: what is checked, and what the agent is told."""

from __future__ import annotations

from typing import Any

import pytest

from common.jobs.catalogue import PREPARE_RUN
from common.models.run import Run
from common.models.task import Comment, Task
from common.services.agents.assigning import NewReview, assign_review
from common.transaction import Transaction, transactional
from common.values.states import TaskState
from tests import builders
from tests.web.world import SHA, World, all_of, get, put, run_jobs

WANTED = {"mode": "blocking", "driver": "scripted"}


@transactional
def _assign(tx: Transaction, task_id: str, agent_id: str) -> None:
    assert assign_review(tx, tx.lock(Task, task_id), NewReview(SHA, "scripted", None, agent_id))


class Review:
    """A review that its agent has claimed, of a task that is being verified."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.project = world.project(has_repository=True, agent_review=WANTED)
        self.task_id = world.task(self.project, "Greet", description="Say hello.").id
        put(Task, self.task_id, state_=TaskState.IN_PROGRESS, phase_="verifying")
        self.agent, agent_id = world.agent()
        _assign(self.task_id, agent_id)
        run_jobs(PREPARE_RUN)
        reply = self.agent.post("/api/runner/claim", json={})
        assert reply.status_code == 200, reply.json
        self.claim: dict[str, Any] = reply.json
        self.run = builders.client_with(world.app, self.claim["run"]["token"])
        self.path = f"/api/runner/runs/{self.claim['run']['id']}"

    def post(self, **body: Any) -> Any:
        return self.run.post(f"{self.path}/review", json=body)

    def stored(self) -> Run:
        run: Run = get(Run, self.claim["run"]["id"])
        return run


@pytest.fixture
def review(world: World) -> Review:
    return Review(world)


def test_a_claim_says_that_it_is_a_review_and_of_which_commit(review: Review) -> None:
    assert review.claim["run"]["purpose"] == "review"
    assert review.claim["clone"]["commit"] == SHA
    assert review.claim["hasSession"] is False


def test_a_verdict_is_stored_once_and_shown_on_its_run(review: Review) -> None:
    said = {"verdict": "request_changes", "summary": "Wrong.", "comments": [{"path": "a", "line": 2, "body": "No."}]}
    for _again in range(2):
        reply = review.post(**said)
        assert (reply.status_code, reply.json["run"]["verdict"]) == (200, "request_changes")
    other = review.post(verdict="approve", summary="Right.")
    assert (other.status_code, other.json["details"]["field"]) == (400, "verdict")
    assert len(all_of(Comment, Comment.task_id == review.task_id)) == 2
    shown = review.world.client.get(f"/api/tasks/{review.task_id}").json["task"]["runs"]
    assert [(run["purpose"], run["verdict"], run["summary"]) for run in shown] == [
        ("review", "request_changes", "Wrong.")
    ]
