"""Tasks that a cap of spending stops: parked when it ends their run, or before they get one."""

from __future__ import annotations

from common.models.project import Project
from common.models.run import Run
from common.models.task import Task
from common.services.caps.cap_shares import with_shares
from common.services.caps.caps import OBSTACLE, ReachedCap, reached_cap
from common.services.conversation.feedback import mark_feedback_undelivered
from common.services.lifecycle import task_states
from common.services.spend.model_tokens import USED_UP
from common.transaction import Transaction
from common.values.runs.parking import Parked
from common.values.states import TaskState

TOOK_LONGER = "The run took longer than "
"""How an agent says that the minutes are over which its claim gave it: workers/runner/attempt/attempt.py."""


def park_at_cap(tx: Transaction, task: Task, run: Run) -> bool:
    """Park the task whose run has ended without a result, if a cap is reached; counts no attempt. Returns whether.

    If the cap that ended the run was raised meanwhile, the task goes on at once. A task that waits for an answer goes
    on waiting: the answer queues it. Both are locked.
    """
    reached = reached_cap(tx, task, is_at_work=True)
    if reached is None and not _was_ended_by_cap(tx, task, run):
        return False
    mark_feedback_undelivered(tx, run)
    if reached is None:
        # The words are the agent's, so there is an end to it.
        task_states.requeue(tx, task, reason=run.reason, counts=False, is_loss=True)
    elif task.state is TaskState.IN_PROGRESS:
        park_for(tx, task, reached)
    else:
        task_states.leave_agent(tx, task)
    return True


def _was_ended_by_cap(tx: Transaction, task: Task, run: Run) -> bool:
    """Whether the run says that it ended because of a cap, which leaves room again."""
    said = run.reason or ""
    own_limit = {**tx.get(Project, task.project_id).limits, **task.limits}.get("maxMinutes")
    return USED_UP in said or (said.startswith(TOOK_LONGER) and own_limit is None)


def park_for(tx: Transaction, task: Task, reached: ReachedCap) -> None:
    """Park the task, which is in in_progress without a live run, until the cap leaves room."""
    task_states.park(tx, task, Parked.CAP, with_shares(tx, task, reached), until=reached.until)


def stop_at_cap(tx: Transaction, task: Task) -> bool:
    """Give a waiting task no run if a cap leaves no room. Returns whether one does not. The task is locked.

    One in in_progress is parked. One in the backlog stays there, where it keeps its place, and shows why.
    """
    reached = reached_cap(tx, task)
    if reached is None:
        if (task.error or "").startswith(OBSTACLE):
            task_states.show_obstacle(tx, task, None)
        return False
    if task.state is TaskState.IN_PROGRESS:
        park_for(tx, task, reached)
    elif task.error != reached.obstacle:
        task_states.show_obstacle(tx, task, reached.obstacle)
    return True
