"""Tasks that agents propose. A person accepts a proposal, which creates the task, or dismisses it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from common.errors import Conflict, Invalid, NotFound
from common.jobs.outbox import actor
from common.models.task import Proposal, Task
from common.services.lifecycle.task_states import record_update
from common.services.requests.access import Caller
from common.services.tasks.tasks import NewTask, create_task, lock_task
from common.transaction import Transaction, snapshot, transactional
from common.values.states import ProposalState, Role

MOST_PROPOSALS = 20
"""Most proposals of one run."""
LONGEST_TITLE = 200
LABEL = "proposed"
"""Label of a task that was created from a proposal."""


@dataclass(frozen=True)
class NewProposal:
    title: str
    description: str = ""


def propose(tx: Transaction, task: Task, new: Sequence[NewProposal], *, run_id: str) -> list[Proposal]:
    """Store proposals of a run of the task, which is locked. Returns them; one that is known already is not added.

    The texts are masked. Invalid, and nothing is stored, if the run would have more than MOST_PROPOSALS.
    """
    known = {row.fingerprint: row for row in tx.all(select(Proposal).where(Proposal.task_id == task.id))}
    count = select(func.count()).select_from(Proposal).where(Proposal.run_id == run_id)
    room = MOST_PROPOSALS - tx.session.execute(count).scalar_one()
    wanted = {_fingerprint(one.title): one for one in new}
    fresh = {fingerprint: one for fingerprint, one in wanted.items() if fingerprint not in known}
    if len(fresh) > room:
        raise Invalid("proposals", f"A run may propose {MOST_PROPOSALS} tasks; this one may propose {room} more")
    for fingerprint, one in fresh.items():
        known[fingerprint] = tx.add(
            Proposal(
                task_id=task.id, run_id=run_id, fingerprint=fingerprint, title=one.title[:LONGEST_TITLE],
                description=one.description, state=ProposalState.PROPOSED, created_at=tx.now(),
            )
        )  # fmt: skip
    if fresh:
        record_update(tx, task, "proposals")
    return [known[fingerprint] for fingerprint in wanted]


def _fingerprint(title: str) -> str:
    return hashlib.sha256(" ".join(title.split()).casefold().encode()).hexdigest()


def list_proposals(task_id: str, *, by: Caller) -> Sequence[Proposal]:
    """Those of the task's agents, oldest first."""
    with snapshot() as read:
        task = read.get(Task, task_id)
        if task is None:
            raise NotFound(f"task {task_id}")
        by.require_in(read, task.project_id, Role.VIEWER)
        of_task = select(Proposal).where(Proposal.task_id == task_id)
        return read.all(of_task.order_by(Proposal.created_at, Proposal.id))


@transactional
def accept_proposal(tx: Transaction, task_id: str, proposal_id: str, *, by: Caller) -> Proposal:
    """Create the proposed task, in the same project and in the caller's name. Conflict if it is decided already."""
    task, proposal = _undecided(tx, task_id, proposal_id, by)
    created = create_task(NewTask(task.project_id, proposal.title, proposal.description, labels=[LABEL]), by=by)
    proposal.created_task_id = created.id
    _decide(tx, task, proposal, ProposalState.ACCEPTED)
    return proposal


@transactional
def dismiss_proposal(tx: Transaction, task_id: str, proposal_id: str, *, by: Caller) -> Proposal:
    """Conflict if it is decided already."""
    task, proposal = _undecided(tx, task_id, proposal_id, by)
    _decide(tx, task, proposal, ProposalState.DISMISSED)
    return proposal


def _undecided(tx: Transaction, task_id: str, proposal_id: str, by: Caller) -> tuple[Task, Proposal]:
    task = lock_task(tx, task_id, by, Role.MEMBER)
    proposal = tx.session.get(Proposal, proposal_id)
    if proposal is None or proposal.task_id != task.id:
        raise NotFound(f"proposal {proposal_id}")
    if proposal.state != ProposalState.PROPOSED:
        raise Conflict(f"proposal {proposal.id} is {proposal.state}")
    return task, proposal


def _decide(tx: Transaction, task: Task, proposal: Proposal, state: ProposalState) -> None:
    proposal.state, proposal.decided_by, proposal.decided_at = state, actor(), tx.now()
    record_update(tx, task, "proposals")
