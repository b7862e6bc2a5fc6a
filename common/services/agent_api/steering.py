"""Steering a task's agent: writing to it, taking its branch over by hand, and handing it back.

A run whose task is taken over stays live for a while, as its agent needs the run's credential to push what it has done.
"""

from __future__ import annotations

from sqlalchemy import select

from common.errors import Conflict
from common.jobs import catalogue
from common.jobs.catalogue import Lease
from common.jobs.outbox import actor
from common.models.run import Run
from common.models.task import Comment, Task
from common.services.activity import heartbeat_reception
from common.services.agent_api import stuck
from common.services.agent_api.agent_api import RunPrincipal
from common.services.conversation.feedback import mark_feedback_undelivered
from common.services.conversation.messages import (
    INTERRUPT,
    MESSAGE,
    PersonMessage,
    acknowledged_by,
    add_message,
    deliver,
    message_of,
    messages_for,
)
from common.services.lifecycle import task_states
from common.services.project_settings.variables import mask_of_run
from common.services.requests.access import Caller
from common.services.runs import run_end
from common.services.runs.log_entries import cut, note
from common.services.tasks.tasks import add_feedback, lock_task
from common.transaction import Snapshot, Transaction, snapshot, transactional
from common.values.states import By, Outcome, Phase, Role, RunState, TaskState

RELEASE_SECONDS = 90
"""How long the agent of a task that was taken over may push what it has done: it is told within 15 s, by its heartbeat,
and its last checkpoint may take 45 s."""

UNREAD = frozenset({TaskState.PRODUCTION, TaskState.CANCELLED})
"""States that no agent leads a task out of."""

_TAKEN_FROM = frozenset(
    {TaskState.IN_PROGRESS, TaskState.NEEDS_INPUT, TaskState.READY_TO_TEST, TaskState.FAILED}
)  # fmt: skip


@transactional
def write_message(tx: Transaction, task_id: str, text: str, *, interrupts: bool = False, by: Caller) -> Comment:
    """Store a message for the agent: the live run gets it at its next turn, else the next run as feedback.

    interrupts: the run is to stop what it is doing. Conflict if no run is at work then, or if nobody will read it.
    """
    task = lock_task(tx, task_id, by, Role.MEMBER)
    if task.state in UNREAD:
        raise Conflict(f"task {task.id} is {task.state}: no agent will read this; write a new task")
    run = None if task.phase is Phase.HELD else run_end.live_run(tx, task.id)
    run = None if run is not None and run.is_review else run
    if interrupts and (run is None or run.state is not RunState.RUNNING):
        raise Conflict(
            f"no agent is at work on task {task.id}, so there is nothing to interrupt; send the message without "
            "interrupt, and the next run gets it",
            field="interrupt",
        )
    row = add_message(tx, task, text, kind=INTERRUPT if interrupts else MESSAGE)
    if run is not None:
        details: dict[str, object] = {"author": row.author, "interrupts": interrupts, "messageId": row.id}
        note(tx, run, cut(mask_of_run(tx, run)(text)), level="info", kind="message", details=details)
    return row


def has_messages(run: RunPrincipal, after: int) -> bool:
    """Whether `take_messages` would return any. Conflict if the run is over. Only reads, so it may be called often."""
    with snapshot() as read:
        return read.find(messages_for(_live_run(read, run), after)) is not None


def take_messages(run: RunPrincipal, after: int) -> list[PersonMessage]:
    """The messages for the run with a seq greater than `after`, oldest first. None while a person holds the task.

    Conflict if the run is over. They are not delivered yet: the agent may have stopped waiting for this reply.
    """
    with snapshot() as read:
        row, task = _live_run(read, run), read.get(Task, run.task_id)
        is_held = task is not None and task.phase is Phase.HELD
        return [] if is_held else [message_of(it) for it in read.all(messages_for(row, after))]


def has_acknowledged(run: RunPrincipal, after: int) -> bool:
    """Whether `acknowledge_messages` would mark any. Conflict if the run is over. Only reads."""
    with snapshot() as read:
        return read.find(acknowledged_by(_live_run(read, run), after)) is not None


@transactional
def acknowledge_messages(tx: Transaction, run: RunPrincipal, after: int) -> None:
    """Mark the messages up to the seq `after` as delivered to the run, which asks for later ones. Safe to repeat.

    What the run does not acknowledge before it ends is feedback of the task's next run. Conflict if the run is over.
    """
    tx.lock(Task, run.task_id)
    row = tx.lock(Run, run.run_id)
    if row.state is RunState.ENDED:
        raise Conflict(f"run {row.id} is over: stop working on it")
    deliver(tx, row, tx.all(acknowledged_by(row, after)))


def _live_run(read: Snapshot, run: RunPrincipal) -> Run:
    row = read.get(Run, run.run_id)
    if row is None or row.live_task_id is None:
        raise Conflict(f"run {run.run_id} is over: stop working on it")
    return row


@transactional
def take_over(tx: Transaction, task_id: str, *, by: Caller) -> Task:
    """Hold the task for the caller, who works on its branch by hand. Safe to repeat.

    Its run is told to push what it has and to stop; it is ended after RELEASE_SECONDS. Proven work needs a maintainer,
    as its proof is given up. Conflict in other states, and if there is no branch yet.
    """
    task = lock_task(tx, task_id, by, Role.MEMBER)
    if task.phase is Phase.HELD:
        if task.held_by_id == by.user_id:
            return task
        raise Conflict(f"task {task.id} is held by {task.held_by}, who can hand it back, or a maintainer")
    if task.state is TaskState.READY_TO_TEST:
        by.require_in(tx, task.project_id, Role.MAINTAINER)
    if task.phase is Phase.VERIFYING:
        raise Conflict(f"the work on task {task.id} is being verified; take it over when that is done")
    if task.state not in _TAKEN_FROM:
        among = ", ".join(state for state in TaskState if state in _TAKEN_FROM)
        raise Conflict(f"task {task.id} is {task.state}; it can be taken over from {among}")
    run = run_end.live_run(tx, task.id)
    begun = select(Run).where(Run.task_id == task.id, Run.base_sha.is_not(None))
    if tx.find(begun) is None:
        raise Conflict(f"task {task.id} has no branch yet: no agent has begun; push a branch of your own instead")
    task_states.hold(tx, task, holder=actor(), holder_id=by.user_id)
    if run is not None:
        _dismiss(tx, run)
    return task


def _dismiss(tx: Transaction, run: Run) -> None:
    """Have the agent push what it has. A run that no agent has claimed is ended at once. The run is locked."""
    reason = f"taken over by {actor()}"
    if run.state is RunState.RUNNING:
        note(tx, run, f"The task was {reason}: the agent keeps its work on the branch and stops.", level="info")
        tx.enqueue(catalogue.RELEASE_RUN, run.id, project_id=run.project_id, after_seconds=RELEASE_SECONDS)
    else:
        run_end.end_run(tx, run, Outcome.CANCELLED, reason, by=By.PERSON)
        mark_feedback_undelivered(tx, run)


@transactional
def release_run(tx: Transaction, lease: Lease) -> None:
    """End the run if its task is held, or the platform stopped it, and its agent has not ended it.

    After the platform was off, its agent has RELEASE_SECONDS to hear that it is to stop, and to push what it has.
    """
    run = tx.session.get(Run, lease.subject_id)
    heartbeats_taken_since = heartbeat_reception.heartbeats_taken_since(tx)
    if run is not None and run.state is RunState.RUNNING and heartbeats_taken_since is not None:
        left = RELEASE_SECONDS - (tx.now() - heartbeats_taken_since).total_seconds()
        if left > 0:
            tx.again(lease, after_seconds=left)
            return
    if run is not None:
        task = tx.lock(Task, run.task_id)
        run = tx.lock(Run, run.id)
        if task.phase is Phase.HELD:
            reason = f"taken over by {task.held_by}; its agent did not stop within {RELEASE_SECONDS} s"
            run_end.end_run(tx, run, Outcome.CANCELLED, reason)
        elif run.stop_reason is not None and run.state is not RunState.ENDED:
            run_end.end_run(tx, run, Outcome.CANCELLED, run.stop_reason)
            stuck.keep_stopped(tx, task, run)
    tx.finish(lease)


@transactional
def hand_back(tx: Transaction, task_id: str, text: str, *, by: Caller) -> Task:
    """Have an agent continue the task in a new round, from what is on its branch. text: a note for it; may be empty.

    Forbidden for a member who does not hold the task. Conflict if nobody does, or while the former run is not over.
    """
    task = lock_task(tx, task_id, by, Role.MEMBER)
    if task.phase is not Phase.HELD:
        raise Conflict(f"nobody holds task {task.id}, which is {task.state}, so it can't be handed back")
    if task.held_by_id != by.user_id:
        by.require_in(tx, task.project_id, Role.MAINTAINER)
    if run_end.live_run(tx, task.id) is not None:
        raise Conflict(
            f"the agent of task {task.id} still pushes what it has done; hand the task back when its run is over, "
            f"{RELEASE_SECONDS} seconds after you took it over at the latest"
        )
    if text.strip():
        add_feedback(tx, task, "note", text)
    task_states.hand_back(tx, task)
    return task
