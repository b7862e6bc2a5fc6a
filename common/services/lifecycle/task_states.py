"""State changes of tasks. Only this module changes a task's state or phase.

Every function expects the task to be locked, sets all fields that belong to the change, and records the event. It
raises IllegalTransition if the task's state has no such edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ClauseElement, and_, bindparam, or_, select, update

from common.database.compiled_statements import ListStatement, Places
from common.events.catalogue import TaskStatusChanged, TaskUpdated
from common.jobs import catalogue
from common.machine.text import camel_case
from common.models.run import Run
from common.models.task import Question, Task
from common.services.caps.caps import reached_cap
from common.telemetry.tracing import trace_parent
from common.transaction import Transaction
from common.values.runs.parking import Parked
from common.values.states import By, Phase, QuestionState, TaskState

MOST_ATTEMPTS = 3
"""Runs lost in a row before a task is given up."""
MOST_LOST_RUNS = 10
"""Runs lost in a row without the task's fault before it is given up: high enough for restarts of the platform, but an
end for a task that kills its agent every time."""


@dataclass(frozen=True)
class Begun:
    """A task that a new run was assigned for. was_queued: it waited in in_progress, else in the backlog."""

    task_id: str
    project_id: str
    was_queued: bool
    preview_url: str | None


def begin_work(tx: Transaction, begun: Sequence[Begun]) -> None:
    """These tasks, which wait and are locked, have live runs now: show the agents that they were assigned to.

    One statement, which compares each task's state once more; RuntimeError, before anything is committed, if one of
    them did not wait: they were not locked.
    """
    tx.session.flush()
    if _BEGIN_WORK.run(tx.connection, [(one.task_id,) for one in begun], at=tx.now()) != len(begun):
        raise RuntimeError("a task that was to begin did not wait any more")
    for one in begun:
        about = {"feed": one.project_id, "subject_task_id": one.task_id, "task_id": one.task_id}
        if one.was_queued:
            tx.record(TaskUpdated(**about, changed=("phase", "assignedAgentId")))
        else:
            old, new = TaskState.BACKLOG, TaskState.IN_PROGRESS
            tx.record(TaskStatusChanged(**about, old_state=old, new_state=new, preview_url=one.preview_url))


def _begin_work(task_ids: Sequence[Places]) -> ClauseElement:
    queued = and_(Task.state_ == TaskState.IN_PROGRESS, Task.phase_ == Phase.QUEUED)
    return (
        update(Task)
        .where(Task.id.in_([task_id for (task_id,) in task_ids]), or_(Task.state_ == TaskState.BACKLOG, queued))
        .values(
            state_=TaskState.IN_PROGRESS, phase_=Phase.WORKING, updated_at=bindparam("at"),
            assigned_agent_id=select(Run.agent_id).where(Run.live_task_id == Task.id).scalar_subquery(),
        )
    )  # fmt: skip


_BEGIN_WORK = ListStatement(1, _begin_work)


def show_obstacle(tx: Transaction, task: Task, obstacle: str | None) -> None:
    """Show why a waiting task can't start; None: nothing keeps it. Its next run that can begin clears it."""
    task.error, task.updated_at = obstacle, tx.now()
    record_update(tx, task, "error")


def begin_proof(tx: Transaction, task: Task, run_id: str) -> None:
    """The agent reported that the work is done: enqueue its verification, and withdraw its open questions.

    Or a person accepts what it was refused for, and then it may have been parked, lost its next run or failed in the
    meantime. Losses and attempts restart from zero.
    """
    task.assigned_agent_id, task.attempts, task.losses, task.error = None, 0, 0, None
    task.updated_at = tx.now()
    withdraw_questions(tx, task)
    changed = ("phase", "parked") if task.phase is Phase.PARKED else ("phase",)
    _forget_parking(task)
    if task.state is not TaskState.IN_PROGRESS:
        # In needs_input the agent continued without waiting for the answer. Only a person leads out of failed.
        by = By.PERSON if task.state is TaskState.FAILED else By.PLATFORM
        tx.record(task.move_to(TaskState.IN_PROGRESS, by, phase=Phase.VERIFYING))
    else:
        task.enter_phase(Phase.VERIFYING)
        record_update(tx, task, *changed)
    tx.enqueue(catalogue.VERIFY_RUN, run_id, project_id=task.project_id)


def wait_for_answer(tx: Transaction, task: Task) -> None:
    """A person has to answer a question. Nothing changes if the task already waits for an answer, or is held."""
    task.updated_at = tx.now()
    if task.state is TaskState.IN_PROGRESS and task.phase is not Phase.HELD:
        tx.record(task.move_to(TaskState.NEEDS_INPUT, By.PLATFORM))


def resume(tx: Transaction, task: Task, *, by: By) -> None:
    """The question was answered, and the run that asked still waits: it continues."""
    task.updated_at = tx.now()
    tx.record(task.move_to(TaskState.IN_PROGRESS, by, phase=Phase.WORKING))


def queue_again(tx: Transaction, task: Task, *, by: By) -> None:
    """The task waits for an agent in in_progress, ahead of tasks in the backlog.

    If it is in in_progress already, its state does not change: the caller records an update with what has changed.
    """
    task.assigned_agent_id = None
    _join_queue(tx, task)
    _forget_parking(task)
    if task.state is TaskState.IN_PROGRESS:
        task.enter_phase(Phase.QUEUED)
    else:
        tx.record(task.move_to(TaskState.IN_PROGRESS, by, phase=Phase.QUEUED))
    tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None)


def _join_queue(tx: Transaction, task: Task) -> None:
    """From now on it waits for an agent. Its next run belongs to the trace of what led to this."""
    task.queued_at, task.updated_at = tx.now(), tx.now()
    task.trace_parent = trace_parent() or task.trace_parent


def leave_agent(tx: Transaction, task: Task) -> None:
    """The task waits for a person, and its run is over: no agent has it until the answer queues it. Safe to repeat."""
    if task.assigned_agent_id is not None:
        task.assigned_agent_id, task.updated_at = None, tx.now()
        record_update(tx, task, "assigned_agent_id")


def send_back(tx: Transaction, task: Task, *, by: By) -> None:
    """Verified or approved work needs changes: begin a new round. The caller has added the feedback for its agent.

    Voids an approval. Refusals and attempts restart from zero.
    """
    void_approval(task)
    task.round, task.refusals, task.attempts = task.round + 1, 0, 0
    queue_again(tx, task, by=by)


def refuse(tx: Transaction, task: Task) -> None:
    """The verification failed: begin a new round and count the refusal. The caller queues the task or asks a person."""
    task.round, task.refusals, task.updated_at = task.round + 1, task.refusals + 1, tx.now()
    record_update(tx, task, "checks", "round", "phase")


def take_refusal_back(tx: Transaction, task: Task) -> None:
    """The last refusal does not count: a person accepts what it was about. The caller has the work proven again."""
    task.round, task.refusals, task.updated_at = task.round - 1, max(0, task.refusals - 1), tx.now()
    task.assigned_agent_id = None
    record_update(tx, task, "round", "phase", "assigned_agent_id")


def requeue(tx: Transaction, task: Task, *, reason: str | None, counts: bool, is_loss: bool = False) -> None:
    """Put a task that lost its run back into the backlog, or give it up after MOST_ATTEMPTS or MOST_LOSSES in a row.

    counts: raise attempts. is_loss: raise losses, as a machine or the platform stopped the run. A task that waits for a
    person stays in its state; the answer queues it. A held task stays with its holder.
    """
    if task.phase is Phase.HELD:
        return
    _join_queue(tx, task)
    if counts:
        task.attempts += 1
    if is_loss:
        task.losses += 1
    if task.state is not TaskState.IN_PROGRESS:
        leave_agent(tx, task)
        return
    task.assigned_agent_id = None
    if task.attempts >= MOST_ATTEMPTS or task.losses >= MOST_LOST_RUNS:
        fail(tx, task, f"given up after {task.attempts + task.losses} lost runs; the last one: {reason}")
    else:
        tx.record(task.move_to(TaskState.BACKLOG, By.PLATFORM))


def fail(tx: Transaction, task: Task, reason: str) -> None:
    """Give the task up. reason: masked by the caller; stays in the task's error until a person retries it."""
    withdraw_questions(tx, task)
    task.assigned_agent_id, task.error, task.updated_at = None, reason, tx.now()
    tx.record(task.move_to(TaskState.FAILED, By.PLATFORM))


def retry(tx: Transaction, task: Task) -> None:
    """Put a failed task back into the backlog, with all counters at zero."""
    task.attempts, task.losses, task.refusals, task.error = 0, 0, 0, None
    _join_queue(tx, task)
    tx.record(task.move_to(TaskState.BACKLOG, By.PERSON))
    tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None)


def park(tx: Transaction, task: Task, why: Parked, reason: str, *, until: datetime | None) -> None:
    """The task, which is in in_progress and has no live run, waits; its session is kept. Counts no attempt.

    until: when `unpark` is due; None: when the reason is gone. reason: a sentence for people that says what to do.
    """
    task.assigned_agent_id, task.updated_at = None, tx.now()
    task.parked_code, task.parked_reason, task.parked_until, task.error = why, reason, until, None
    task.enter_phase(Phase.PARKED)
    record_update(tx, task, "phase", "parked", "assigned_agent_id")


def unpark(tx: Transaction, task: Task, *, by: By) -> None:
    """The task waits for an agent again. Does nothing unless it is parked."""
    if task.phase is not Phase.PARKED:
        return
    queue_again(tx, task, by=by)
    record_update(tx, task, "phase", "parked")


def end_wait_for_files(tx: Transaction, task: Task) -> None:
    """The task, which awaits files, may begin: it has them."""
    _forget_parking(task)
    task.updated_at = tx.now()
    record_update(tx, task, "parked")
    tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None)


def resume_capped(tx: Transaction, *, project_id: str | None = None, task_id: str | None = None) -> None:
    """Caps were changed: queue the parked tasks that have room now. None: those of all projects, or all tasks.

    Locks the tasks: the caller may have locked their project, and this one task.
    """
    parked = select(Task.id).where(Task.phase_ == Phase.PARKED, Task.parked_code == Parked.CAP)
    if project_id is not None:
        parked = parked.where(Task.project_id == project_id)
    if task_id is not None:
        parked = parked.where(Task.id == task_id)
    for task in tx.lock_all(Task, tx.session.scalars(parked).all()):
        if reached_cap(tx, task) is None:
            unpark(tx, task, by=By.PERSON)
    # Tasks that have not begun wait for the scheduler.
    tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None)


def hold(tx: Transaction, task: Task, *, holder: str, holder_id: str) -> None:
    """A person works on the task's branch by hand. Its open questions are withdrawn; the caller ends its run.

    holder: a name to show. Losses, attempts and refusals restart from zero.
    """
    withdraw_questions(tx, task)
    _forget_parking(task)
    task.attempts, task.losses, task.refusals, task.error, task.assigned_agent_id = 0, 0, 0, None, None
    task.held_by, task.held_by_id, task.updated_at = holder, holder_id, tx.now()
    if task.state is TaskState.IN_PROGRESS:
        task.enter_phase(Phase.HELD)
        record_update(tx, task, "phase", "held_by", "parked", "assigned_agent_id")
    else:
        tx.record(task.move_to(TaskState.IN_PROGRESS, By.PERSON, phase=Phase.HELD))


def hand_back(tx: Transaction, task: Task) -> None:
    """The holder is done: an agent continues the task in a new round. The caller has added the holder's note."""
    withdraw_questions(tx, task)
    _release(task)
    send_back(tx, task, by=By.PERSON)
    record_update(tx, task, "phase", "held_by", "round", "comments")


def held_task_ids(tx: Transaction, task_ids: Sequence[str]) -> set[str]:
    """Those of the tasks that a person holds."""
    held = select(Task.id).where(Task.id.in_(task_ids), Task.phase_ == Phase.HELD)
    return set(tx.session.scalars(held)) if task_ids else set()


def _release(task: Task) -> None:
    task.held_by = task.held_by_id = None


def _forget_parking(task: Task) -> None:
    task.parked_code = task.parked_reason = task.parked_until = None


def make_ready(tx: Transaction, task: Task) -> None:
    """The commit head_sha passed all checks: a person may test it."""
    task.refusals, task.error, task.updated_at = 0, None, tx.now()
    tx.record(task.move_to(TaskState.READY_TO_TEST, By.PLATFORM))


def approve(tx: Transaction, task: Task, approver: str) -> None:
    """Approve the verified commit: it may be delivered, and dependent tasks may start. approver: a name to show."""
    task.approved_sha, task.approved_by = task.head_sha, approver
    task.approved_at = task.updated_at = tx.now()
    tx.record(task.move_to(TaskState.APPROVED, By.PERSON))
    tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None)


def void_approval(task: Task) -> None:
    """Clear the task's approval, if it has one."""
    task.approved_sha = task.approved_by = task.approved_at = task.later_push = None


def reach_staging(tx: Transaction, task: Task) -> None:
    """The task's group runs on staging. Does nothing unless the task is approved."""
    if task.state is TaskState.APPROVED:
        task.updated_at = tx.now()
        tx.record(task.move_to(TaskState.STAGING, By.PLATFORM))


def leave_staging(tx: Transaction, task: Task) -> None:
    """The task does not run on staging any more and is approved again. Does nothing unless it is on staging."""
    if task.state is TaskState.STAGING:
        task.updated_at = tx.now()
        tx.record(task.move_to(TaskState.APPROVED, By.PLATFORM))


def reach_production(tx: Transaction, task: Task) -> None:
    """The task is delivered: clean up its preview and pull request. Does nothing unless it is on staging."""
    if task.state is TaskState.STAGING:
        task.updated_at = tx.now()
        tx.record(task.move_to(TaskState.PRODUCTION, By.PLATFORM))
        tx.enqueue(catalogue.CLEAN_UP_TASK, task.id, project_id=task.project_id)


def cancel(tx: Transaction, task: Task) -> None:
    """Cancel the task: void an approval, withdraw its open questions, and clean up its preview and pull request.

    The caller ends the run and removes the task from its group.
    """
    void_approval(task)
    withdraw_questions(tx, task)
    _release(task)
    _forget_parking(task)
    task.assigned_agent_id, task.updated_at = None, tx.now()
    tx.record(task.move_to(TaskState.CANCELLED, By.PERSON))
    tx.enqueue(catalogue.CLEAN_UP_TASK, task.id, project_id=task.project_id)


def withdraw_questions(tx: Transaction, task: Task) -> bool:
    """Nobody needs the answers to the task's open questions any more; who answers one gets a Conflict.

    Returns whether there were any.
    """
    query = select(Question).where(Question.task_id == task.id, Question.state == QuestionState.PENDING)
    open_questions = tx.all(query)
    for question in open_questions:
        question.state, question.remind_at, question.deadline_at = QuestionState.WITHDRAWN, None, None
        tx.wake(f"question:{question.id}")
    return bool(open_questions)


def record_update(tx: Transaction, task: Task, *changed: str) -> None:
    """Record that fields of the task other than its state changed. changed: names of attributes or collections."""
    names = tuple(camel_case(name) for name in changed)
    tx.record(TaskUpdated(feed=task.project_id, subject_task_id=task.id, task_id=task.id, changed=names))
