"""What a person reads of the tests of a task's proof, and which lost tests they let go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select

from common.errors import Conflict, Invalid, NotFound
from common.models.project import Project
from common.models.task import Comment, Task, TaskCheck
from common.services.lifecycle import task_states
from common.services.lifecycle.run_states import newest_claim
from common.services.project_settings.project_resources import check_of
from common.services.proof import test_results
from common.services.proof.verification import MOST_ACCEPTED, NO_FAULT
from common.services.requests.access import Caller
from common.services.runs import run_end
from common.services.tasks.tasks import lock_task
from common.transaction import Snapshot, Transaction, snapshot, transactional
from common.values.states import By, Outcome, Phase, Role, TaskState
from common.values.testing.scans import SCANS
from common.values.testing.test_report import TestCase

LOST = "tests_lost"
_WAITING = frozenset({TaskState.BACKLOG, TaskState.NEEDS_INPUT, TaskState.FAILED})
"""States in which a task has what was refused last, and nothing newer to prove. Others have a phase."""
MOST_KEPT = 5 * MOST_ACCEPTED
"""Names of lost tests that one task's people may let go altogether."""


@dataclass(frozen=True)
class TestsOfTask:
    """commit_sha: of the newest proof with tests; None: there was none. problem: why nothing is known of its tests."""

    __test__ = False

    commit_sha: str | None
    problem: str | None
    tests: Sequence[TestCase] = ()


def read_tests(task_id: str, *, by: Caller) -> TestsOfTask:
    """The tests of the task's newest proof, in the order of the report."""
    with snapshot() as read:
        task, project = _visible(read, task_id, by)
        newest = read.find(
            select(TaskCheck)
            .where(TaskCheck.task_id == task.id, TaskCheck.name == "tests")
            .order_by(TaskCheck.at.desc(), TaskCheck.id.desc())
        )
        check = check_of(project, task.id, newest.commit_sha) if newest is not None and newest.commit_sha else None
    if check is None:
        return TestsOfTask(None, "no tests were run")
    report = test_results.read_report_of_proof(check)
    if report is None:
        return TestsOfTask(
            check.commit,
            "there is no report of this commit for the project's present commands; reports are deleted after "
            f"{test_results.KEPT_DAYS} days",
        )
    return TestsOfTask(check.commit, report.problem, report.tests)


def _visible(read: Snapshot, task_id: str, by: Caller) -> tuple[Task, Project]:
    task = read.get(Task, task_id)
    project = read.get(Project, task.project_id) if task is not None else None
    if task is None or project is None:
        raise NotFound(f"task {task_id}")
    by.require_in(read, project.id, Role.VIEWER)
    return task, project


@transactional
def accept_lost_tests(tx: Transaction, task_id: str, names: Sequence[str], *, by: Caller) -> Task:
    """Let these tests go, for every proof of the task. Safe to repeat.

    If no other lost test is left, the refused commit is proven again at once, unless the task has gone on since: the
    refusal does not count, and a run that was to restore the tests ends. Invalid (`names`) for tests that its newest
    proof did not name as lost. Conflict if it named none.
    """
    task = lock_task(tx, task_id, by, Role.MAINTAINER)
    check = tx.find(
        select(TaskCheck)
        .where(TaskCheck.task_id == task.id, TaskCheck.name == "lost_tests")
        .order_by(TaskCheck.at.desc(), TaskCheck.id.desc())
    )
    known = set(task.accepted_losses)
    if check is None or check.code != LOST:
        if known.issuperset(names):
            return task
        raise Conflict(f"the newest proof of task {task.id} names no lost tests")
    lost = {line.partition(": ")[2] for line in (check.log or "").splitlines()}
    if strange := sorted(set(names) - lost - known):
        raise Invalid("names", f"{strange[0]} is not among the lost tests of the newest proof")
    if len(known | set(names)) > MOST_KEPT:
        raise Conflict(f"at most {MOST_KEPT} tests can be let go by name; set the project's testsLost to warn")
    if not known.issuperset(names):
        task.accepted_losses = sorted(known | set(names))
        task.updated_at = tx.now()
        task_states.record_update(tx, task, "accepted_losses")
    if check.status == "failed" and lost <= set(task.accepted_losses):
        prove_again(tx, task, check, "a person let the lost tests go")
    return task


def prove_again(tx: Transaction, task: Task, check: TaskCheck, why: str) -> bool:
    """Take the refusal by this check back and prove the refused commit again, unless the task has gone on since.

    It has not if it is in the backlog again or failed, as a later run was lost or gave up. It has, too, if a later run
    claimed to be done and could not be verified: only the newest claim is ever proven.
    A run that was to do what the refusal asks for ends, because of `why`. Returns whether it is proven again.
    """
    waits = task.state in _WAITING or task.phase in {Phase.QUEUED, Phase.WORKING, Phase.PARKED}
    refused = newest_claim(tx, task.id)
    is_refusal = check.code not in NO_FAULT
    if not waits or refused is None or refused.id != check.run_id or refused.round != task.round - is_refusal:
        return False
    run = run_end.live_run(tx, task.id)
    if run is not None:
        run_end.end_run(tx, run, Outcome.CANCELLED, why, by=By.PERSON)
    tx.session.execute(
        delete(Comment)
        .where(Comment.task_id == task.id, Comment.kind == "refusal", Comment.delivered_run_id.is_(None))
        .where(Comment.body.startswith(f"{check.code}: ", autoescape=True))
        .execution_options(synchronize_session=False)
    )
    # The project's rules and the advisories may have changed since.
    tx.session.execute(
        delete(TaskCheck)
        .where(TaskCheck.run_id == refused.id, TaskCheck.name.in_(SCANS), TaskCheck.id != check.id)
        .execution_options(synchronize_session=False)
    )
    if is_refusal:
        task_states.take_refusal_back(tx, task)
    task_states.begin_proof(tx, task, refused.id)
    return True
