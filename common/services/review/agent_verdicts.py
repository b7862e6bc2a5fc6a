"""The verdict of a review, as its agent gives it: stored with its remarks as comments on the task.

Everything in it was written by an agent that read the repository: it is masked, cut and shown, and decides nothing
beyond the check `agent_review`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select

from common.errors import Conflict, Invalid
from common.machine.periodic_yield import PeriodicYield
from common.models.run import Run
from common.models.task import Task, TaskCheck
from common.services.agent_api.agent_api import RunPrincipal, mask_for
from common.services.lifecycle.run_states import newest_claim
from common.services.lifecycle.task_states import record_update
from common.services.proof.verification import MOST_CHANGED_PATHS
from common.services.runs.log_entries import masked_and_cut
from common.services.tasks.tasks import NewComment, add_feedback
from common.transaction import Transaction, transactional
from common.values.states import RunState
from common.values.testing.agent_review import LONGEST_BODY, LONGEST_SUMMARY, ReviewComment, Verdict

_WORDS = {Verdict.APPROVE: "Approves", Verdict.REQUEST_CHANGES: "Requests changes"}


@dataclass(frozen=True)
class NewVerdict:
    """comments: at most MOST_COMMENTS."""

    verdict: Verdict
    summary: str
    comments: Sequence[ReviewComment] = ()


def submit_review(principal: RunPrincipal, new: NewVerdict) -> Run:
    """Store the verdict of the run, and its remarks for the people and the task's next run.

    The first verdict stands; repeating it changes nothing. Conflict if the run is over. Invalid (verdict) for a run
    that is no review, and for another verdict.
    """
    mask, pause = mask_for(principal.run_id), PeriodicYield()
    comments = [
        replace(
            one,
            path=mask(one.path, pause=pause),
            body=masked_and_cut(one.body, mask, LONGEST_BODY, pause=pause),
        )
        for one in new.comments
    ]
    summary = masked_and_cut(new.summary, mask, LONGEST_SUMMARY, pause=pause)
    return _store(principal, NewVerdict(new.verdict, summary, comments))


@transactional
def _store(tx: Transaction, principal: RunPrincipal, new: NewVerdict) -> Run:
    """new: masked and cut."""
    task, run = tx.lock(Task, principal.task_id), tx.lock(Run, principal.run_id)
    if run.state is RunState.ENDED:
        raise Conflict(f"run {run.id} is over", field="run")
    if not run.is_review:
        raise Invalid("verdict", "This run is no review: do the task, and end your turn")
    if run.verdict is not None:
        if run.verdict == new.verdict:
            return run
        raise Invalid("verdict", f"This review said {run.verdict} before, and that stands: end your turn")
    run.verdict, run.summary = new.verdict, new.summary
    changed = _changed_paths(tx, task)
    comments = [_comment(one, changed, run) for one in new.comments]
    said = f"{_WORDS[new.verdict]}: {run.summary}"
    add_feedback(tx, task, "comment", said, comments, author=f"{run.driver} (review)")
    record_update(tx, task, "comments")
    return run


def _comment(given: ReviewComment, changed: set[str] | None, run: Run) -> NewComment:
    """The remark in its place; a general one if the change does not touch the file, which no diff shows then."""
    if changed is not None and given.path not in changed:
        return NewComment(f"{given.path}:{given.line}: {given.body}")
    return NewComment(given.body, given.path, given.line, side=given.side, commit_sha=run.claimed_sha)


def _changed_paths(tx: Transaction, task: Task) -> set[str] | None:
    """The paths that the proven commit changes; None if they are too many to tell."""
    work = newest_claim(tx, task.id)
    if work is None:
        return None
    paths = select(TaskCheck.log).where(TaskCheck.run_id == work.id, TaskCheck.name == "diff")
    lines = (tx.session.execute(paths).scalar() or "").splitlines()
    return set(lines) if 0 < len(lines) < MOST_CHANGED_PATHS else None
