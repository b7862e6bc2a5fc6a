"""Questions that nobody answers: a reminder, then the default answer or the end of the task.

The times are in the questions' rows and compared with the database's clock, so restarts change nothing. Each is acted
on under the task's lock and cleared in the same transaction, so it happens once.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, or_, select

from common.events.catalogue import QuestionReminded
from common.models.project import Project
from common.models.task import Question, Task
from common.services.lifecycle import task_states
from common.services.project_settings.named_people import may_be_asked
from common.services.runs import run_end
from common.services.tasks.questions import record_answer
from common.transaction import Transaction, snapshot, transactional
from common.values.runs.question_rules import DEFAULT, read_question_rules
from common.values.states import By, Outcome, QuestionState, TaskState

MOST_AT_ONCE = 200
BY_DEFAULT = "default"
"""Who answered a question whose default answer counts."""


def watch_questions() -> None:
    """Act on every question whose reminder or deadline is due, each in its own transaction. Safe to repeat."""
    with snapshot() as read:
        due = read.all(select(Question).where(_is_due(read.now())).order_by(Question.asked_at).limit(MOST_AT_ONCE))
    for question in due:
        watch_question(question.task_id, question.id)


def _is_due(now: datetime) -> ColumnElement[bool]:
    return or_(Question.remind_at <= now, Question.deadline_at <= now)


@transactional
def watch_question(tx: Transaction, task_id: str, question_id: str) -> None:
    """Act on one question. Does nothing if it is not due any more."""
    tasks = tx.lock_all(Task, [task_id])
    question = tx.find(select(Question).where(Question.id == question_id, _is_due(tx.now())))
    if not tasks or question is None:
        return
    if question.state != QuestionState.PENDING:
        question.remind_at = question.deadline_at = None
    elif question.deadline_at is not None and question.deadline_at <= tx.now():
        _end(tx, tasks[0], question, question.deadline_at)
    else:
        _remind(tx, tasks[0], question)


def _remind(tx: Transaction, task: Task, question: Question) -> None:
    project = tx.get(Project, task.project_id)
    person = read_question_rules(project.question_rules).escalate_to
    is_asked = person is not None and may_be_asked(tx, project, person)
    if is_asked:
        question.escalated_to = person
    question.remind_at = None
    tx.record(
        QuestionReminded(
            feed=task.project_id, subject_task_id=task.id, task_id=task.id, question_id=question.id,
            question=question.question, escalated_to=question.escalated_to, not_asked=None if is_asked else person,
        )
    )  # fmt: skip


def _end(tx: Transaction, task: Task, question: Question, deadline: datetime) -> None:
    """The deadline has passed: record the default answer, if it counts here, else fail the task."""
    question.remind_at = question.deadline_at = None
    rules = read_question_rules(tx.get(Project, task.project_id).question_rules)
    if rules.on_deadline == DEFAULT and question.default_response is not None:
        record_answer(tx, task, question, question.default_response, author=BY_DEFAULT, by=By.PLATFORM)
    elif task.state is TaskState.NEEDS_INPUT:
        minutes = (deadline - question.asked_at).total_seconds() / 60
        reason = f"nobody answered within {minutes:g} minutes: {question.question[:200]}"
        run = run_end.live_run(tx, task.id)
        task_states.fail(tx, task, reason)
        if run is not None:
            run_end.end_run(tx, run, Outcome.CANCELLED, reason)
