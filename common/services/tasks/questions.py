"""Questions of agents and their answers. Repeating a question in the same task and round returns the existing one."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import func, select

from common.errors import Conflict, NotFound
from common.events.catalogue import QuestionAnswered, TaskNeedsInput
from common.jobs.outbox import actor
from common.models.project import Project
from common.models.run import Run
from common.models.task import Question, Task
from common.services.conversation.messages import add_message, exchange, time_after_session
from common.services.lifecycle import task_states
from common.services.requests.access import Caller
from common.services.tasks.tasks import lock_task
from common.transaction import Transaction, transactional
from common.values.names import new_question_id
from common.values.runs.question_rules import read_question_rules
from common.values.states import By, Phase, QuestionState, Role, RunState, TaskState


def ask(
    tx: Transaction,
    task: Task,
    text: str,
    *,
    context: str | None,
    options: list[str],
    run_id: str | None,
    is_blocking: bool = True,
    default_response: str | None = None,
    proven_run_id: str | None = None,
) -> tuple[Question, bool]:
    """Store a question. If it blocks, the task, which is locked, waits for a person. Returns it, and whether it is new.

    run_id: None if the platform itself asks. A question that was withdrawn, and is asked again, is open again.
    proven_run_id: the run whose proof asks, None if none does. For another run, the same text is a new question:
    a returned answer would leave the task in its proof.
    """
    fingerprint = _fingerprint(text, context, [*options, proven_run_id] if proven_run_id else options)
    same = _find(tx, task, fingerprint)
    if same is not None and same.state == QuestionState.PENDING:
        _ask_again(tx, task, same, run_id=run_id, is_blocking=is_blocking)
        return same, False
    if same is not None and same.state == QuestionState.ANSWERED:
        return same, False
    question = same or Question(
        id=new_question_id(), task_id=task.id, round=task.round, question=text, context=context, options=options,
        fingerprint=fingerprint,
    )  # fmt: skip
    question.state, question.run_id, question.asked_at = QuestionState.PENDING, run_id, tx.now()
    question.is_blocking, question.default_response, question.escalated_to = is_blocking, default_response, None
    _set_times(tx, task, question)
    tx.add(question)
    _announce(tx, task, question)
    return question, True


def _ask_again(tx: Transaction, task: Task, question: Question, *, run_id: str | None, is_blocking: bool) -> None:
    """The same question is open already. One that did not block blocks from now on, if it is asked so.

    It is that of the run that waits for it, also if an earlier run asked it first.
    """
    if is_blocking:
        question.run_id = run_id
    if is_blocking and not question.is_blocking:
        question.is_blocking = True
        question.asked_at = tx.now()  # nobody had to answer before
        _set_times(tx, task, question)
    if question.is_blocking and task.state is TaskState.IN_PROGRESS:
        _announce(tx, task, question)


def find_same(tx: Transaction, task: Task, text: str, context: str | None, options: list[str]) -> Question | None:
    """The same question of an agent in this round; None if it was not asked."""
    return _find(tx, task, _fingerprint(text, context, options))


def _find(tx: Transaction, task: Task, fingerprint: str) -> Question | None:
    of_round = (Question.task_id == task.id, Question.round == task.round)
    return tx.find(select(Question).where(*of_round, Question.fingerprint == fingerprint))


def count_asked_by(tx: Transaction, run_id: str) -> int:
    """The number of questions that the run has asked."""
    return tx.session.execute(select(func.count()).select_from(Question).where(Question.run_id == run_id)).scalar_one()


def _fingerprint(text: str, context: str | None, options: list[str]) -> str:
    return hashlib.sha256("\0".join([text, context or "", *options]).encode()).hexdigest()


def _set_times(tx: Transaction, task: Task, question: Question) -> None:
    """Set the reminder and the deadline by the project's rules. Nothing waits for a question that does not block."""
    rules = read_question_rules(tx.get(Project, task.project_id).question_rules)
    question.remind_at = _after(tx.now(), rules.remind_minutes)
    question.deadline_at = _after(tx.now(), rules.deadline_minutes) if question.is_blocking else None


def _after(time: datetime, minutes: float | None) -> datetime | None:
    return None if minutes is None else time + timedelta(minutes=minutes)


def _announce(tx: Transaction, task: Task, question: Question) -> None:
    # Of a task that a person holds, nobody has to answer it: it is withdrawn with the end of the run.
    if not question.is_blocking or task.phase is Phase.HELD:
        task_states.record_update(tx, task, "questions")
        return
    task_states.wait_for_answer(tx, task)
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
    record_answer(tx, task, question, response, author=actor(), by=By.PERSON)
    return question


def record_answer(tx: Transaction, task: Task, question: Question, response: str, *, author: str, by: By) -> None:
    """Store the answer to a pending question, and let the task continue if it waited only for this one.

    The task is locked. author: a name to show.
    """
    question.state, question.response = QuestionState.ANSWERED, response
    question.responded_at, question.responded_by = time_after_session(tx, task.id), author
    question.remind_at = question.deadline_at = None
    tx.session.flush()
    tx.record(
        QuestionAnswered(
            feed=task.project_id, subject_task_id=task.id, task_id=task.id, question_id=question.id, response=response
        )
    )
    tx.wake(f"question:{question.id}")
    if not question.is_blocking:
        _send_answer(tx, task, question)
    elif task.state is TaskState.NEEDS_INPUT and not has_open_question(tx, task.id):
        continue_task(tx, task, by)


def _send_answer(tx: Transaction, task: Task, question: Question) -> None:
    """The agent did not wait for the answer: it gets it as a message, in this run or with the next one."""
    add_message(tx, task, exchange(question), author=question.responded_by)


def has_open_question(tx: Transaction, task_id: str) -> bool:
    """Whether the task waits for an answer."""
    pending = select(Question).where(
        Question.task_id == task_id, Question.state == QuestionState.PENDING, Question.is_blocking.is_(True)
    )
    return tx.find(pending) is not None


def continue_task(tx: Transaction, task: Task, by: By) -> None:
    """All questions are answered: resume the run that waits, or queue the task if there is none."""
    waiting = tx.find(select(Run).where(Run.live_task_id == task.id))
    if waiting is not None and waiting.state is RunState.RUNNING:
        task_states.resume(tx, task, by=by)
    else:
        task.refusals = 0
        task_states.queue_again(tx, task, by=by)
