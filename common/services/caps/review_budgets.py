"""The budget of the reviews of one commit: the `limits` of the project's `agentReview`, which all its tries share.

A review that a crash ended is tried again, with what the tries before it left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import func, select

from common.models.run import Run
from common.services.caps.spend_counters import end_of_work
from common.transaction import Snapshot, Transaction
from common.values.states import Outcome
from common.values.testing.agent_review import Purpose

LEAST_LEFT = {"maxCostUsd": 0.000_001, "maxTokens": 1, "maxMinutes": 0.01}
"""With less left than this of a limit, it is reached. An agent takes 0 for no limit."""


def reviews_of(at: Snapshot | Transaction, task_id: str, commit_sha: str | None) -> Sequence[Run]:
    """The reviews of the commit since it was last claimed, oldest first."""
    claims = select(func.max(Run.finished_at)).where(
        Run.task_id == task_id, Run.purpose == Purpose.WORK, Run.outcome == Outcome.COMPLETED,
        Run.claimed_sha == commit_sha,
    )  # fmt: skip
    of_commit = select(Run).where(
        Run.task_id == task_id, Run.purpose == Purpose.REVIEW, Run.claimed_sha == commit_sha,
        Run.created_at >= claims.scalar_subquery(),
    )  # fmt: skip
    return at.all(of_commit.order_by(Run.created_at, Run.id))


def reached_limit(limits: Mapping[str, float], reviews: Sequence[Run]) -> str | None:
    """The limit that these reviews of one commit have used up, in words such as `$2`; None: each leaves something."""
    left = _left(limits, reviews)
    return next((_in_words(name, limit) for name, limit in limits.items() if left[name] < LEAST_LEFT[name]), None)


def _in_words(name: str, limit: float) -> str:
    if name == "maxCostUsd":
        return f"${limit:,.12g}"
    return f"{limit:,.13g} tokens" if name == "maxTokens" else f"{limit:g} min"


def limits_left(at: Snapshot | Transaction, run: Run, limits: Mapping[str, float]) -> dict[str, float]:
    """What the other reviews of its commit leave to a review, at least LEAST_LEFT of each limit."""
    if not limits:
        return {}
    others = [review for review in reviews_of(at, run.task_id, run.claimed_sha) if review.id != run.id]
    return {name: max(value, LEAST_LEFT[name]) for name, value in _left(limits, others).items()}


def _left(limits: Mapping[str, float], reviews: Sequence[Run]) -> dict[str, float]:
    return {name: most - sum(_spent(name, review) for review in reviews) for name, most in limits.items()}


def _spent(name: str, run: Run) -> float:
    """How much of this limit the run has used. A run that nobody claimed has used nothing."""
    if name == "maxMinutes":
        if run.started_at is None or run.finished_at is None:
            return 0
        ended_at = end_of_work(run.outcome, run.seen_at, run.finished_at, run.finished_at)
        return max(0.0, (ended_at - run.started_at).total_seconds()) / 60
    if name == "maxCostUsd":
        return run.usage.get("costUsd", 0)
    return sum(int(run.usage.get(kind, 0)) for kind in ("inputTokens", "cacheWriteTokens", "outputTokens"))
