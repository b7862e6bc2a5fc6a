"""Questions of agents and their answers. Repeating a question in the same task and round returns the existing one."""

from __future__ import annotations

import hashlib

from sqlalchemy import func, select

from common.errors import Conflict, NotFound
from common.events import QuestionAnswered, TaskNeedsInput
from common.models.run import Run
from common.models.task import Question, Task
from common.names import new_question_id
from common.outbox import actor
from common.services.access import Caller
from common.services.tasks import lifecycle
from common.services.tasks.tasks import lock_task
from common.states import By, QuestionState, Role, RunState, TaskState
from common.transaction import Transaction, transactional


def ask(
    tx: Transaction, task: Task, text: str, *, context: str | None, options: list[str], run_id: str | None
) -> tuple[Question, bool]:
    """Store a question and make the task, which is locked, wait for a person. Returns it, and whether it is new.

    run_id: None if the platform itself asks.
    """
    same = find_same(tx, task, text, context, options)
    if same is not None:
        if same.state == QuestionState.PENDING and task.state is TaskState.IN_PROGRESS:
            _wait_for_person(tx, task, same)
        return same, False
    question = tx.add(
        Question(
            id=new_question_id(), task_id=task.id, run_id=run_id, round=task.round, question=text, context=context,
            options=options, fingerprint=_fingerprint(text, context, options), state=QuestionState.PENDING,
            asked_at=tx.now(),
        )
    )  # fmt: skip
    _wait_for_person(tx, task, question)
    return question, True


def find_same(tx: Transaction, task: Task, text: str, context: str | None, options: list[str]) -> Question | None:
    """The same question in this round; None if it was not asked."""
    of_round = (Question.task_id == task.id, Question.round == task.round)
    return tx.find(select(Question).where(*of_round, Question.fingerprint == _fingerprint(text, context, options)))


def count_asked_by(tx: Transaction, run_id: str) -> int:
    """The number of questions that the run has asked."""
    return tx.session.execute(select(func.count()).select_from(Question).where(Question.run_id == run_id)).scalar_one()


def _fingerprint(text: str, context: str | None, options: list[str]) -> str:
    return hashlib.sha256("\0".join([text, context or "", *options]).encode()).hexdigest()


def _wait_for_person(tx: Transaction, task: Task, question: Question) -> None:
    lifecycle.wait_for_answer(tx, task)
    tx.record(
        TaskNeedsInput(
            feed=task.project_id, subject_task_id=task.id, task_id=task.id, question_id=question.id,
            question=question.question,
        )
    )  # fmt: skip


@transactional
def answer_question(tx: Transaction, task_id: str, question_id: str, response: str, *, by: Caller) -> Question:
    """Store the answer for the run that asked, or the next one. Conflict if it has been answered or withdrawn.

    After the last open question, the task continues: at once if its run still waits, else it is queued.
    """
    task = lock_task(tx, task_id, by, Role.MEMBER)
    question = tx.session.get(Question, question_id)
    if question is None or question.task_id != task.id:
        raise NotFound(f"question {question_id}")
    if question.state != QuestionState.PENDING:
        raise Conflict(f"question {question.id} is {question.state}", field="questionId")
    question.state, question.response = QuestionState.ANSWERED, response
    question.responded_at, question.responded_by = tx.now(), actor()
    tx.session.flush()
    tx.record(
        QuestionAnswered(
            feed=task.project_id, subject_task_id=task.id, task_id=task.id, question_id=question.id, response=response
        )
    )
    tx.wake(f"question:{question.id}")
    if task.state is TaskState.NEEDS_INPUT and not has_open_question(tx, task.id):
        continue_task(tx, task, By.PERSON)
    return question


def has_open_question(tx: Transaction, task_id: str) -> bool:
    pending = select(Question).where(Question.task_id == task_id, Question.state == QuestionState.PENDING)
    return tx.find(pending) is not None


def continue_task(tx: Transaction, task: Task, by: By) -> None:
    """All questions are answered: resume the run that waits, or queue the task if there is none."""
    waiting = tx.find(select(Run).where(Run.live_task_id == task.id))
    if waiting is not None and waiting.state is RunState.RUNNING:
        lifecycle.resume(tx, task, by=by)
    else:
        task.refusals = 0
        lifecycle.queue_again(tx, task, by=by)
