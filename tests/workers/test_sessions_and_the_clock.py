"""The database's clock is set back: a run that resumes a session is told what came since that was stored."""

from __future__ import annotations

import pytest

from common.models import Comment, Mark, Question, Run, RunSession
from common.services.runs import agent_sessions, runners, steering
from common.services.runs.runners import RunPrincipal
from common.services.tasks.messages import message_of
from common.values.claimed_run import ClaimedRun
from tests.workers.platform import Platform
from tests.workers.test_clock_steps import written_ahead
from workers import sweeps

pytestmark = pytest.mark.slow

AHEAD = (Run.created_at, Run.started_at, RunSession.saved_at, Question.asked_at, Comment.delivered_at)


def ask(claimed: ClaimedRun) -> Question:
    question, _is_new = runners.ask_question(claimed.run.id, "Which colour?", context=None, options=[])
    return question


def principal(platform: Platform, claimed: ClaimedRun) -> RunPrincipal:
    return RunPrincipal(claimed.run.id, claimed.task.id, platform.agent_id, claimed.project.id, is_live=True)


def told(claimed: ClaimedRun) -> list[str]:
    return [item.body for item in claimed.feedback]


def test_a_message_that_the_stored_session_does_not_know_reaches_the_next_run(platform: Platform) -> None:
    task = platform.task(platform.project())
    claimed = platform.claim()
    agent_sessions.save_session(claimed.run.id, b"session")
    sweeps.sweep()
    written_ahead(Mark.at, *AHEAD)
    sweeps.sweep()
    message = steering.write_message(task.id, "In grey, please", by=platform.max)
    steering.acknowledge_messages(principal(platform, claimed), message_of(message).seq)

    platform.silence(Run, claimed.run.id, 61)
    sweeps.sweep_agents()

    resumed = platform.claim()
    assert resumed.has_session
    # By the clock of now it was written after the claim, so the run fetches it.
    assert [item.text for item in steering.take_messages(principal(platform, resumed), 0)] == ["In grey, please"]
