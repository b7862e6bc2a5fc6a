"""The limits of reviews by another agent: they end a review, and all tries of one commit share them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from common.models import Run
from common.secrets.sealing import unseal
from common.services.spend.model_tokens import find_access
from common.transaction import Transaction, transactional
from common.values.states import Outcome
from tests.workers.jobs.agent_reviews import REVIEWER, ReviewedTask
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow


@transactional
def _model_token(tx: Transaction, run_id: str) -> str:
    sealed = tx.get(Run, run_id).secrets_sealed
    assert sealed is not None
    return str(unseal(sealed)["model_token"])


@pytest.mark.parametrize(
    ("limits", "usage", "words"),
    [
        ({"maxTokens": 100}, {"inputTokens": 60, "cacheWriteTokens": 10, "outputTokens": 30, "calls": 1}, "100 tokens"),
        ({"maxMinutes": 5, "maxTokens": 1000}, {}, "5 min"),
    ],
)
def test_a_review_that_reached_its_limit_is_not_tried_again(
    platform: Platform, limits: dict[str, float], usage: dict[str, float], words: str
) -> None:
    about = ReviewedTask(platform, "blocking", limits=limits)
    claimed = about.claim()
    _has_used(claimed.run.id, usage, minutes=5)
    about.end(claimed, Outcome.FAILED, commit_sha=None, reason="It was told to stop.")
    about.settle()
    assert about.state == ("needs_input", None)
    assert about.verdict == ("failed", "no_review")
    assert (about.check.message or "").endswith(f"{REVIEWER} gave no verdict: it reached its limit of {words}.")
    assert len(about.reviews) == 1


def test_a_review_after_a_crash_has_what_the_first_try_left(platform: Platform) -> None:
    about = ReviewedTask(platform, limits={"maxCostUsd": 2, "maxTokens": 100, "maxMinutes": 5})
    first = about.claim()
    # Minutes in which nothing was heard of it are not counted.
    _has_used(first.run.id, {"inputTokens": 60, "costUsd": 0.5, "calls": 1}, minutes=4)
    platform.silence(Run, first.run.id, 120)
    assert platform.expire() == 1

    second = about.claim()
    assert (second.limits.max_cost_usd, second.limits.max_tokens) == (1.5, 40)
    assert 2.5 < (second.limits.max_minutes or 0) <= 3
    _has_used(second.run.id, {"inputTokens": 40, "calls": 1}, minutes=0)
    access = find_access(_model_token(second.run.id), "any")
    assert access is not None
    assert access.used_up == "The run has used 40 tokens; its limit is 40 (maxTokens)"
    about.end(second, Outcome.FAILED, commit_sha=None, reason=access.used_up)
    about.settle()
    assert "it reached its limit of 100 tokens" in (about.check.message or "")
    assert len(about.reviews) == 2


@transactional
def _has_used(tx: Transaction, run_id: str, usage: dict[str, float], *, minutes: float) -> None:
    run = tx.get(Run, run_id)
    assert run.started_at is not None
    run.usage = usage
    run.started_at -= timedelta(minutes=minutes)
