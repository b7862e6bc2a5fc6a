"""What the platform's tools tell an agent about its task and project, and what it proposes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from common.errors import Conflict, Invalid, NotFound
from common.machine.text import without_invisible
from common.models.project import Project
from common.models.run import Run
from common.models.task import Comment, Proposal, Question, Task
from common.services.agent_api.agent_api import RunPrincipal
from common.services.conversation.messages import EDIT, exchange, shown_kind
from common.services.project_settings.variables import mask_of_run
from common.services.runs.log_entries import masked_and_cut
from common.services.tasks import proposals
from common.services.tasks.proposals import NewProposal
from common.transaction import Snapshot, Transaction, snapshot, transactional
from common.values.states import QuestionState, RunState

MOST_FEEDBACK = 200
MOST_TASKS = 200


@dataclass(frozen=True)
class TaskOfRun:
    """The task of a run, its project, and the questions of this round, oldest first."""

    task: Task
    project: Project
    questions: Sequence[Question]


@dataclass(frozen=True)
class GivenFeedback:
    """One piece of feedback. kind: that of a comment, or `answer`. comments: on lines, those that belong to it."""

    kind: str
    author: str
    at: datetime
    body: str
    path: str | None = None
    line: int | None = None
    start_line: int | None = None
    side: str | None = None
    comments: Sequence[Comment] = ()


def read_task_of(run: RunPrincipal) -> TaskOfRun:
    """As it stands now."""
    with snapshot() as read:
        task, project = read.get(Task, run.task_id), read.get(Project, run.project_id)
        if task is None or project is None:
            raise NotFound(f"task {run.task_id}")
        of_round = select(Question).where(Question.task_id == task.id, Question.round == task.round)
        return TaskOfRun(task, project, read.all(of_round.order_by(Question.asked_at, Question.id)))


def read_feedback_of(run: RunPrincipal) -> list[GivenFeedback]:
    """All feedback on the task, whichever run received it, at most MOST_FEEDBACK, the newest first."""
    with snapshot() as read:
        of_task = select(Comment).where(Comment.task_id == run.task_id, Comment.kind != EDIT)
        comments = read.all(of_task.order_by(Comment.created_at, Comment.id))
        found = [
            GivenFeedback(
                shown_kind(top.kind), top.author, top.created_at, top.body, top.path, top.line,
                top.start_line, top.side, [comment for comment in comments if comment.parent_id == top.id],
            )
            for top in comments
            if top.parent_id is None
        ]  # fmt: skip
        found += _answers(read, run.task_id)
    return sorted(found, key=lambda given: given.at, reverse=True)[:MOST_FEEDBACK]


def _answers(read: Snapshot, task_id: str) -> list[GivenFeedback]:
    """The answers to questions that blocked; other answers are comments."""
    answered = select(Question).where(Question.task_id == task_id, Question.state == QuestionState.ANSWERED)
    return [
        GivenFeedback(
            "answer", row.responded_by or "", row.responded_at or row.asked_at,
            exchange(row),
        )
        for row in read.all(answered.where(Question.is_blocking.is_(True)))
    ]  # fmt: skip


def list_tasks_for(run: RunPrincipal) -> Sequence[Task]:
    """The other tasks of the run's project, at most MOST_TASKS, the newest first."""
    with snapshot() as read:
        others = select(Task).where(Task.project_id == run.project_id, Task.id != run.task_id)
        return read.all(others.order_by(Task.created_at.desc(), Task.id.desc()).limit(MOST_TASKS))


@transactional
def propose_tasks(tx: Transaction, principal: RunPrincipal, wanted: Sequence[NewProposal]) -> list[Proposal]:
    """Store tasks that the agent proposes, masked and cut, for a person to decide. Repeating one adds nothing.

    Conflict if the run is over. Invalid (proposals) if the run proposes too many, or for a title without any text.
    People may not write invisible characters in a title: here they are removed, so that the call does not fail.
    """
    task = tx.lock(Task, principal.task_id)
    run = tx.lock(Run, principal.run_id)
    if run.state is RunState.ENDED:
        raise Conflict(f"run {run.id} is over", field="run")
    if run.is_review:
        raise Invalid("proposals", "A review proposes no tasks: say it in the summary of your verdict")
    mask = mask_of_run(tx, run)
    # A title is masked twice: what is removed may be part of a secret, or separate its parts.
    new = [NewProposal(mask(_visible_line(mask(one.title))), masked_and_cut(one.description, mask)) for one in wanted]
    for number, one in enumerate(new):
        if not one.title:
            raise Invalid(f"proposals.{number}.title", "Must not be blank")
    return proposals.propose(tx, task, new, run_id=run.id)


def _visible_line(text: str) -> str:
    """The text in one line, without invisible characters."""
    # Some of them end lines, so words are separated first.
    return " ".join(filter(None, (without_invisible(word) for word in text.split())))
