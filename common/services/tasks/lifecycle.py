"""A task's life: the only place that moves a task from one state or phase to another.

Each act expects the task to be locked, sets the same fields wherever it is used, and records the event. Every other
edge is refused (IllegalTransition).
"""

from __future__ import annotations

from sqlalchemy import select

from common import jobs
from common.events import TaskUpdated, camel
from common.models.task import Question, Task
from common.states import By, Phase, QuestionState, TaskState
from common.transaction import Transaction

MOST_ATTEMPTS = 3
"""Runs lost in a row before a task is given up."""
MOST_LOSSES = 10
"""The same for runs that were lost through no fault of the task: enough for restarts, yet an end for a task that kills
its agent each time."""


def begin_work(tx: Transaction, task: Task, agent_id: str) -> None:
    """A new run was given to this agent. The task was in the backlog, or queued in in_progress."""
    task.assigned_agent_id, task.updated_at = agent_id, tx.now()
    if task.state is TaskState.IN_PROGRESS:
        task.enter_phase(Phase.WORKING)
        record_update(tx, task, "phase", "assigned_agent_id")
    else:
        tx.record(task.move_to(TaskState.IN_PROGRESS, By.PLATFORM, phase=Phase.WORKING))


def begin_proof(tx: Transaction, task: Task, run_id: str) -> None:
    """The run's agent says that the work is done: a job checks it. Losses and attempts start from zero again."""
    task.assigned_agent_id, task.attempts, task.losses, task.error = None, 0, 0, None
    task.updated_at = tx.now()
    if task.state is TaskState.NEEDS_INPUT:  # the agent went on without waiting for the answer
        tx.record(task.move_to(TaskState.IN_PROGRESS, By.PLATFORM, phase=Phase.VERIFYING))
    else:
        task.enter_phase(Phase.VERIFYING)
        record_update(tx, task, "phase")
    tx.enqueue(jobs.VERIFY_RUN, run_id, project_id=task.project_id)


def wait_for_answer(tx: Transaction, task: Task) -> None:
    """A person has to answer a question. A task that waits already goes on waiting."""
    task.updated_at = tx.now()
    if task.state is TaskState.IN_PROGRESS:
        tx.record(task.move_to(TaskState.NEEDS_INPUT, By.PLATFORM))


def resume(tx: Transaction, task: Task, *, by: By) -> None:
    """The answer is there, and the run that asked still waits for it."""
    task.updated_at = tx.now()
    tx.record(task.move_to(TaskState.IN_PROGRESS, by, phase=Phase.WORKING))


def queue_again(tx: Transaction, task: Task, *, by: By) -> None:
    """The task waits for an agent inside in_progress, ahead of those in the backlog."""
    task.assigned_agent_id, task.queued_at, task.updated_at = None, tx.now(), tx.now()
    if task.state is TaskState.IN_PROGRESS:
        task.enter_phase(Phase.QUEUED)
    else:
        tx.record(task.move_to(TaskState.IN_PROGRESS, by, phase=Phase.QUEUED))
    tx.enqueue(jobs.SCHEDULE_TASKS, "platform", project_id=None)


def send_back(tx: Transaction, task: Task, *, by: By) -> None:
    """Proven or approved work is to be changed: a new round begins, and its agent gets the feedback written before.

    An approval is void; refusals and attempts are counted anew.
    """
    void_approval(task)
    task.round, task.refusals, task.attempts = task.round + 1, 0, 0
    queue_again(tx, task, by=by)


def refuse(tx: Transaction, task: Task) -> None:
    """The proof failed: a new round begins, and the refusal is counted. The caller queues the task or asks a person."""
    task.round, task.refusals, task.updated_at = task.round + 1, task.refusals + 1, tx.now()
    record_update(tx, task, "checks", "round", "phase")


def requeue(tx: Transaction, task: Task, *, reason: str | None, counts: bool, is_loss: bool = False) -> None:
    """Put a task that lost its run back into the backlog, or give it up after MOST_ATTEMPTS in a row.

    counts: it is one of those attempts. is_loss: the machine lost the run at work; MOST_LOSSES of these are too many.
    A task that waits for a person stays there: the answer queues it.
    """
    task.assigned_agent_id, task.queued_at, task.updated_at = None, tx.now(), tx.now()
    if counts:
        task.attempts += 1
    if is_loss:
        task.losses += 1
    if task.state is not TaskState.IN_PROGRESS:
        return
    if task.attempts >= MOST_ATTEMPTS or task.losses >= MOST_LOSSES:
        fail(tx, task, f"given up after {task.attempts + task.losses} lost runs; the last one: {reason}")
    else:
        tx.record(task.move_to(TaskState.BACKLOG, By.PLATFORM))


def fail(tx: Transaction, task: Task, reason: str) -> None:
    """The task is given up. reason: masked by the caller; it stands on the task until a person retries it."""
    task.assigned_agent_id, task.error, task.updated_at = None, reason, tx.now()
    tx.record(task.move_to(TaskState.FAILED, By.PLATFORM))


def retry(tx: Transaction, task: Task) -> None:
    """A person has a failed task tried again: it is in the backlog as if it was new."""
    task.attempts, task.losses, task.refusals, task.error = 0, 0, 0, None
    task.queued_at, task.updated_at = tx.now(), tx.now()
    tx.record(task.move_to(TaskState.BACKLOG, By.PERSON))
    tx.enqueue(jobs.SCHEDULE_TASKS, "platform", project_id=None)


def make_ready(tx: Transaction, task: Task) -> None:
    """The commit at head_sha is proven: a person may look at it."""
    task.refusals, task.error, task.updated_at = 0, None, tx.now()
    tx.record(task.move_to(TaskState.READY_TO_TEST, By.PLATFORM))


def approve(tx: Transaction, task: Task, approver: str) -> None:
    """The proven commit may be delivered, and what depends on the task may start. approver: a name to show."""
    task.approved_sha, task.approved_by, task.updated_at = task.head_sha, approver, tx.now()
    tx.record(task.move_to(TaskState.APPROVED, By.PERSON))
    tx.enqueue(jobs.SCHEDULE_TASKS, "platform", project_id=None)


def void_approval(task: Task) -> None:
    """Nobody has approved what the task is now. Nothing changes where nobody had."""
    task.approved_sha = task.approved_by = task.later_push = None


def reach_staging(tx: Transaction, task: Task) -> None:
    """Its group runs on staging. Only an approved task is moved."""
    if task.state is TaskState.APPROVED:
        task.updated_at = tx.now()
        tx.record(task.move_to(TaskState.STAGING, By.PLATFORM))


def leave_staging(tx: Transaction, task: Task) -> None:
    """It is no longer part of what runs on staging, and stays approved. Only a task on staging is moved."""
    if task.state is TaskState.STAGING:
        task.updated_at = tx.now()
        tx.record(task.move_to(TaskState.APPROVED, By.PLATFORM))


def reach_production(tx: Transaction, task: Task) -> None:
    """Delivered: its preview and pull request are cleaned up. Only a task on staging is moved."""
    if task.state is TaskState.STAGING:
        task.updated_at = tx.now()
        tx.record(task.move_to(TaskState.PRODUCTION, By.PLATFORM))
        tx.enqueue(jobs.CLEAN_UP_TASK, task.id, project_id=task.project_id)


def cancel(tx: Transaction, task: Task) -> None:
    """A person does not want the task any more: open questions are withdrawn, preview and pull request are cleaned up.

    The caller ends the run and takes the task out of its group.
    """
    void_approval(task)
    open_questions = select(Question).where(Question.task_id == task.id, Question.state == QuestionState.PENDING)
    for question in tx.all(open_questions):
        question.state = QuestionState.WITHDRAWN
        tx.wake(f"question:{question.id}")
    task.assigned_agent_id, task.updated_at = None, tx.now()
    tx.record(task.move_to(TaskState.CANCELLED, By.PERSON))
    tx.enqueue(jobs.CLEAN_UP_TASK, task.id, project_id=task.project_id)


def record_update(tx: Transaction, task: Task, *changed: str) -> None:
    """Tell that fields of the task changed which are not its state. changed: attribute names, or collections."""
    names = tuple(camel(name) for name in changed)
    tx.record(TaskUpdated(feed=task.project_id, subject_task_id=task.id, task_id=task.id, changed=names))
