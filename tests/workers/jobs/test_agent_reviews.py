"""A second agent reviews proven work: its verdict, what becomes of it, and every way in which a review can fail."""

from __future__ import annotations

from datetime import timedelta

import pytest

from common.errors import Conflict, Invalid
from common.models import Agent, Comment, Question, Run, RunSession, Task, TaskCheck
from common.services.agent_api import agent_api, agent_sessions, steering
from common.services.review.agent_verdicts import NewVerdict
from common.services.tasks import tasks
from common.settings import settings
from common.transaction import Transaction, transactional
from common.values.states import Outcome
from common.values.testing.agent_review import ReviewComment, Verdict
from tests.workers.jobs.agent_reviews import APPROVED, CHANGES, REVIEWER, ReviewedTask
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow


@transactional
def _earlier(tx: Transaction, run_id: str, minutes: float) -> None:
    """As if everything in the proof of this run had happened so long before."""
    earlier = timedelta(minutes=minutes)
    for row in tx.session.query(TaskCheck).filter(TaskCheck.run_id == run_id, TaskCheck.name != "agent_review"):
        row.at -= earlier
    run = tx.get(Run, run_id)
    assert run.finished_at is not None
    run.finished_at -= earlier


def test_an_approval_lets_the_work_through(platform: Platform) -> None:
    about = ReviewedTask(platform, "blocking", model="second", limits={"maxMinutes": 5})
    claimed = about.claim()
    assert about.verdict == ("running", None)
    assert about.check.message == f"{REVIEWER} (second) reviews the commit."
    assert (claimed.run.purpose, claimed.clone.commit, claimed.model) == ("review", about.sha, "second")
    assert claimed.limits.max_minutes == 5
    assert (claimed.has_session, claimed.session_driver, claimed.setup_command) == (False, None, None)
    about.say(claimed, APPROVED)
    about.say(claimed, APPROVED)
    about.end(claimed)
    about.end(claimed)
    about.settle()

    assert about.state == ("ready_to_test", None)
    assert about.verdict == ("passed", None)
    assert about.check.message == f"Reviewed by {REVIEWER} (second): approves: It does what the task asks for."
    task, (review,) = about.now, about.reviews
    assert (task.round, task.attempts, task.losses, task.refusals) == (1, 0, 0, 0)
    assert (review.verdict, review.claimed_sha, review.outcome) == ("approve", about.sha, "completed")
    agent = platform.get(Agent, about.reviewer)
    assert (str(agent.state), agent.tasks_completed) == ("idle", 0)
    (comment,) = platform.all(Comment, Comment.task_id == task.id)
    assert (comment.author, comment.body) == (f"{REVIEWER} (review)", f"Approves: {APPROVED.summary}")


def test_requested_changes_that_block_go_to_the_agent_with_their_lines(platform: Platform) -> None:
    about = ReviewedTask(platform, "blocking")
    about.review(CHANGES)
    assert about.state in {("in_progress", "queued"), ("in_progress", "working")}
    assert about.verdict == ("failed", "review_requests_changes")
    assert (about.now.round, about.now.refusals) == (2, 1)

    again = platform.claim()
    assert (again.task.id, again.run.purpose) == (about.task.id, "work")
    by_kind = {item.kind: item for item in again.feedback}
    assert by_kind["refusal"].body.startswith("review_requests_changes: ")
    on_line, general = by_kind["comment"].comments
    assert (on_line.path, on_line.line, on_line.body, on_line.commit_sha) == ("a.txt", 1, "Say b.", about.sha)
    # That file is not in the diff, so no diff could show the remark.
    assert (general.path, general.line, general.body) == (None, None, "index.html:7: This is old.")

    # A verdict belongs to its commit: the next one is reviewed anew.
    about.work, about.sha = again, platform.push(again, {"a.txt": "b\n"})
    platform.finish(again, about.sha)
    about.review(APPROVED)
    assert about.state == ("ready_to_test", None)
    assert [run.claimed_sha for run in about.reviews][-1] == about.sha


def test_a_review_waits_for_an_agent_but_not_for_ever(platform: Platform) -> None:
    about = ReviewedTask(platform, "blocking", has_reviewer=False)
    about.until(about.is_waiting)
    assert about.verdict == ("running", "no_agent")
    assert about.check.message == f"The review has not begun: no agent with the driver {REVIEWER} is free."
    _earlier(about.work.run.id, settings().work.review_minutes + 1)
    about.settle()
    assert (about.state, about.verdict, about.reviews) == (("needs_input", None), ("failed", "no_review"), [])
    (question,) = platform.all(Question, Question.task_id == about.task.id)
    assert "could not begin within 60 minutes: no agent" in question.question
    assert about.now.refusals == 0


def test_a_review_that_is_lost_is_done_again_but_not_for_ever(platform: Platform) -> None:
    about = ReviewedTask(platform)
    for number in range(3):
        claimed = about.claim()
        platform.silence(Run, claimed.run.id, 120)
        assert platform.expire() == 1
        if number < 2:
            assert about.state == ("in_progress", "verifying")
    about.settle()
    assert about.verdict == ("skipped", None)
    assert about.check.message == (
        "Not reviewed: 3 reviews were lost, the last one because: its agent sent no heartbeat for a minute."
    )
    task = about.now
    assert (str(task.state), task.attempts, task.losses, task.round) == ("ready_to_test", 0, 0, 1)


def test_a_reviewer_without_a_verdict_is_asked_once_more(platform: Platform) -> None:
    about = ReviewedTask(platform, "blocking")
    about.end(about.claim())
    second = about.claim()
    about.end(second, Outcome.FAILED, commit_sha=None, reason="The run took longer than 5 minutes.")
    about.settle()
    assert str(about.now.state) == "needs_input"
    assert "gave no verdict: The run took longer than 5 minutes." in (about.check.message or "")
    assert len(about.reviews) == 2


def test_cancelling_the_task_ends_its_review(platform: Platform) -> None:
    about = ReviewedTask(platform)
    claimed = about.claim()
    tasks.cancel_task(about.task.id, by=platform.max)
    platform.run_jobs()
    assert about.state == ("cancelled", None)
    assert about.reviews[0].outcome == "cancelled"
    with pytest.raises(Conflict):
        about.say(claimed, APPROVED)
    assert len(about.reviews) == 1


def test_a_push_voids_the_review(platform: Platform) -> None:
    about = ReviewedTask(platform)
    claimed = about.claim()
    platform.push(about.work, {"b.txt": "later"})
    about.settle()
    assert about.state in {("in_progress", "queued"), ("in_progress", "working")}
    assert about.reviews[0].outcome == "cancelled"
    with pytest.raises(Conflict):
        about.say(claimed, APPROVED)
    assert platform.all(TaskCheck, TaskCheck.name == "agent_review") == []


def test_a_cap_of_spending_keeps_a_review_from_beginning(platform: Platform) -> None:
    about = ReviewedTask(platform)
    _cap(about.task.id, minutes=0.000_001)
    about.until(about.is_waiting)
    assert about.verdict == ("running", None)
    assert (about.check.message or "").startswith("The review has not begun: A cap of spending is reached")
    assert about.reviews == []
    # The cap of runs is about attempts at the task.
    _cap(about.task.id, runs=1)
    about.review(APPROVED)
    assert about.verdict == ("passed", None)


@transactional
def _cap(tx: Transaction, task_id: str, **caps: float) -> None:
    tx.get(Task, task_id).caps = caps


def test_a_review_does_nothing_but_review(platform: Platform) -> None:
    about = ReviewedTask(platform)
    steering.write_message(about.task.id, "To whom works on it", by=platform.max)
    claimed = about.claim()
    steering.write_message(about.task.id, "To whom works on it, later", by=platform.max)
    run = agent_api.authenticate_run(claimed.run.token)
    assert not steering.has_messages(run, 0)
    assert steering.take_messages(run, 0) == []
    with pytest.raises(Conflict):
        steering.write_message(about.task.id, "Stop!", interrupts=True, by=platform.max)
    with pytest.raises(Invalid):
        agent_api.ask_question(claimed.run.id, "What?", context=None, options=[])
    agent_sessions.save_session(claimed.run.id, b"its session")
    assert platform.all(RunSession, RunSession.task_id == about.task.id) == []
    about.say(claimed, APPROVED)
    with pytest.raises(Invalid):
        about.say(claimed, CHANGES)
    about.end(claimed)
    about.settle()
    assert about.state == ("ready_to_test", None)
    kinds = {row.kind: row.delivered_run_id for row in platform.all(Comment, Comment.kind == "message")}
    assert kinds == {"message": None}


def test_what_a_reviewer_says_is_masked_and_cut(platform: Platform) -> None:
    about = ReviewedTask(platform)
    claimed = about.claim()
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    about.say(claimed, NewVerdict(Verdict.APPROVE, secret + "x" * 20_000, [ReviewComment("a.txt", 1, secret)]))
    (run,) = about.reviews
    assert run.summary is not None
    assert secret not in run.summary
    assert len(run.summary) < 11_000
    assert all(secret not in row.body for row in platform.all(Comment))
