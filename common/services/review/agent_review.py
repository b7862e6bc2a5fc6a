"""The check `agent_review` of a proof: has another agent review the proven commit, and reads its verdict.

A review is a run of its own: it belongs to the claimed commit, costs its task no attempt, and changes nothing but the
check. Its end wakes the proof again. What the reviewer says is stored by agent_verdicts.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import func, select

from common.jobs.catalogue import Lease
from common.models.project import Project
from common.models.run import Run
from common.models.task import Task, TaskCheck
from common.services.activity import heartbeat_reception
from common.services.agents import pods
from common.services.agents.assigning import NewReview, assign_review
from common.services.agents.matching import Matcher
from common.services.agents.waiting_tasks import ready_agents
from common.services.caps.caps import reached_cap
from common.services.caps.review_budgets import reached_limit, reviews_of
from common.services.lifecycle.run_states import newest_claim
from common.services.proof.verification import CheckResult
from common.services.runs import run_end
from common.services.spend.model_offers import provider_apis
from common.settings import settings
from common.transaction import Snapshot, Transaction, snapshot, transactional
from common.values.states import Outcome, Phase, ProjectState, RunState
from common.values.testing.agent_review import (
    AGENT_REVIEW,
    NO_AGENT,
    NO_REVIEW,
    OVERRULED,
    AgentReview,
    ReviewMode,
    Verdict,
    read_agent_review,
)

MOST_LOST_REVIEWS = 3
"""Reviews of one commit that are lost before no other one is begun."""
MOST_REVIEWS_WITHOUT_VERDICT = 2
"""Reviews of one commit that end without a verdict before no other one is begun."""
LONGEST_SHOWN = 300
CHANGES_REQUESTED = "review_requests_changes"


def advance_review(lease: Lease) -> CheckResult | None:
    """What the review of the job's run says by now. Begins one if it is due and an agent is free. Safe to repeat.

    None: the project asks for none.
    """
    with snapshot() as read:
        work = read.get(Run, lease.subject_id)
        task = None if work is None else read.get(Task, work.task_id)
        project = None if task is None else read.get(Project, task.project_id)
        wanted = None if project is None else read_agent_review(project.agent_review)
        if work is None or task is None or wanted is None:
            return None
        if work.overruled_at is not None:
            return overruled(work)
        reviews = reviews_of(read, work.task_id, work.claimed_sha)
        if (known := _known(wanted, work, reviews)) is not None:
            return known
        is_late = _is_late(read, work, reviews)
        obstacle = _obstacle(read, task, reviews)
        agent_id = _free_agent(read, task, wanted) if obstacle is None else None
    if agent_id is not None and _begin(lease, agent_id):
        return _under_way(wanted.driver, wanted.model)
    why = obstacle or f"no agent with the driver {wanted.driver} is free"
    if is_late:
        minutes = settings().work.review_minutes
        late = (
            f"it could not begin within one minute: {why}"
            if minutes == 1
            else f"it could not begin within {minutes} minutes: {why}"
        )
        return _none(wanted, late)
    code = NO_AGENT if obstacle is None else None
    return CheckResult(AGENT_REVIEW, "running", f"The review has not begun: {_sentence(why)}", code=code)


def _known(wanted: AgentReview, work: Run, reviews: Sequence[Run]) -> CheckResult | None:
    """What the reviews so far say; None if another one is due."""
    if not reviews:
        return None
    last = reviews[-1]
    if last.state is not RunState.ENDED:
        return _under_way(last.driver, last.model)
    if last.verdict is not None:
        return _judged(wanted, work, last)
    reached = reached_limit(wanted.limits, reviews)
    if reached is not None:
        return _none(wanted, f"{_name(last.driver, last.model)} gave no verdict: it reached its limit of {reached}")
    lost = [run for run in reviews if _was_lost(run)]
    if len(lost) >= MOST_LOST_REVIEWS:
        return _none(wanted, f"{len(lost)} reviews were lost, the last one because: {_reason(last)}")
    if len(reviews) - len(lost) >= MOST_REVIEWS_WITHOUT_VERDICT:
        return _none(wanted, f"{_name(last.driver, last.model)} gave no verdict: {_reason(last)}")
    return None


def _was_lost(run: Run) -> bool:
    """Whether a machine or a provider ended the review, and not the reviewer."""
    return run.outcome == Outcome.LOST or run.is_cut_short or run.limited_until is not None


def _reason(run: Run) -> str:
    return _line(run.reason or run.summary or "it gave no reason")


def _is_late(read: Snapshot, work: Run, reviews: Sequence[Run]) -> bool:
    """Whether a review has waited too long since the other checks passed, the last review ended, or the platform was
    off.
    """
    others = select(func.max(TaskCheck.at)).where(TaskCheck.run_id == work.id, TaskCheck.name != AGENT_REVIEW)
    passed_at, heartbeats_taken_since = (
        read.session.execute(others).scalar(),
        heartbeat_reception.heartbeats_taken_since(read),
    )
    times = [passed_at, heartbeats_taken_since, *(run.finished_at for run in reviews)]
    since = max((at for at in times if at is not None), default=None)
    return since is not None and since < read.now() - timedelta(minutes=settings().work.review_minutes)


def _obstacle(read: Snapshot, task: Task, reviews: Sequence[Run]) -> str | None:
    """Why no agent may begin a review now; None if one may."""
    last = reviews[-1] if reviews else None
    if last is not None and last.limited_until is not None and last.limited_until > read.now():
        return f"the provider of models takes no calls for now. {last.limit_reason or ''}".rstrip()
    reached = reached_cap(read, task, is_at_work=True)
    return None if reached is None else reached.obstacle


def _free_agent(read: Snapshot, task: Task, wanted: AgentReview) -> str | None:
    """The id of an agent that can review; empty for a new one of the fleet; None if none is free."""
    matcher = Matcher([*ready_agents(read), *pods.new_agents(read)], provider_apis(read))
    found = matcher.free_with(wanted.driver, frozenset(task.required_capabilities))
    return None if found is None else found.agent.id


@transactional
def _begin(tx: Transaction, lease: Lease, agent_id: str) -> bool:
    """Give the agent a review of the commit. Returns False if something has changed meanwhile."""
    work = tx.get(Run, lease.subject_id)
    task, project = tx.lock(Task, work.task_id), tx.get(Project, work.project_id)
    wanted = read_agent_review(project.agent_review)
    newest = newest_claim(tx, task.id)
    is_current = task.phase is Phase.VERIFYING and newest is not None and newest.id == work.id
    if project.state is not ProjectState.ACTIVE:
        return False
    if wanted is None or not is_current or work.claimed_sha is None or run_end.live_run(tx, task.id) is not None:
        return False
    is_assigned = assign_review(tx, task, NewReview(work.claimed_sha, wanted.driver, wanted.model, agent_id))
    # Jobs are locked after agents. Without the lease another worker looks after the proof: then nothing is written.
    tx.hold(lease)
    return is_assigned


def _judged(wanted: AgentReview, work: Run, run: Run) -> CheckResult:
    is_approved = run.verdict == Verdict.APPROVE
    verdict = "approves" if is_approved else "requests changes"
    same = " It is the driver and model that did the work." if _is_same(work, run) else ""
    message = f"Reviewed by {_name(run.driver, run.model)}: {verdict}: {_line(run.summary or '')}{same}"
    if is_approved:
        return CheckResult(AGENT_REVIEW, "passed", message, log=run.summary)
    status = "failed" if wanted.mode is ReviewMode.BLOCKING else "passed"
    return CheckResult(AGENT_REVIEW, status, message, code=CHANGES_REQUESTED, log=run.summary)


def overruled(work: Run) -> CheckResult:
    """What a person who goes on without the review has made of the check. work: the run that claimed the commit."""
    message = f"{work.overruled_by} went on without this review: {work.overruled_reason}"
    return CheckResult(AGENT_REVIEW, "passed", message, code=OVERRULED)


def _is_same(work: Run, review: Run) -> bool:
    return (work.driver, work.model) == (review.driver, review.model)


def _none(wanted: AgentReview, why: str) -> CheckResult:
    """There is no review: it is left out, or a person is asked."""
    if wanted.mode is ReviewMode.ADVISORY:
        return CheckResult(AGENT_REVIEW, "skipped", f"Not reviewed: {_sentence(why)}")
    message = f"The review that the project requires did not take place: {_sentence(why)}"
    return CheckResult(AGENT_REVIEW, "failed", message, code=NO_REVIEW)


def _sentence(why: str) -> str:
    return f"{why.rstrip('.')}."


def _under_way(driver: str | None, model: str | None) -> CheckResult:
    return CheckResult(AGENT_REVIEW, "running", f"{_name(driver, model)} reviews the commit.")


def _name(driver: str | None, model: str | None) -> str:
    return f"{driver} ({model})" if model else f"{driver}"


def _line(text: str) -> str:
    """The beginning of a text of others, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_SHOWN else f"{line[:LONGEST_SHOWN]} …"
