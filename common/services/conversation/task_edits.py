"""How agents learn that people changed a task's title, description or files after they were told of it.

A run that is at work gets a message with the new text. A run that resumes a session is told everything again if it
differs from what the session's run was told, when it was claimed or by such a message.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import bindparam, select

from common.database.compiled_statements import Statement
from common.models.run import Run, RunSession
from common.models.task import Comment, Task
from common.secrets.signing import digest_of
from common.services.conversation.messages import EDIT, add_message
from common.transaction import Transaction
from common.values.states import Phase, RunState


def digest_of_task(task: Task, attachment_ids: Sequence[str]) -> str:
    """SHA-256 of what a run is told of its task: the title, the description and the files."""
    return digest_of(json.dumps([task.title, task.description, *attachment_ids]))


def differs_from_session(tx: Transaction, task: Task, present: str) -> bool:
    """Whether the task's session may know another text or other files than the present ones: from the claim of the run
    that stored it, or from a message that the run got since.

    present: by `digest_of_task`. False if that run is older than digests, or the task has no session.
    """
    found = tx.rows(_TOLD, task_id=task.id)
    if not found or found[0][0] is None:
        return False
    told, run_id, started_at = found[0]
    if told != present:
        return True
    last = tx.find(
        select(Comment)
        .where(Comment.task_id == task.id, Comment.kind == EDIT, Comment.created_at > started_at)
        .order_by(Comment.created_at.desc(), Comment.id.desc())
    )
    # One that was not acknowledged may have been read all the same.
    return last is not None and (last.delivered_run_id, last.body) != (run_id, _message(task))


_TOLD = Statement(
    lambda: (
        select(Run.told_digest, Run.id, Run.started_at)
        .join(RunSession, RunSession.run_id == Run.id)
        .where(RunSession.task_id == bindparam("task_id"), RunSession.part == 0)
    )
)


def tell_run_at_work(tx: Transaction, task: Task) -> None:
    """Send the task's present title and description to its run, if one has begun to work on it. The task is locked."""
    run = tx.find(select(Run).where(Run.live_task_id == task.id))
    if run is None or run.is_review or run.state is not RunState.RUNNING or task.phase is Phase.HELD:
        return
    add_message(tx, task, _message(task), kind=EDIT)


def _message(task: Task) -> str:
    return f"The task was changed. It now reads:\n\n# {task.title}\n\n{task.description}".rstrip()
