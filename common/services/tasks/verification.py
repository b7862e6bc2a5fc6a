"""Database side of the jobs that prepare a run, verify its result (the proof), and close it.

An agent's report is only a claim. The platform checks, in this order, that the commit is the branch's head, changes
something, merges, changes no forbidden path, keeps the tests, passes them, and has the statuses of the repository's own
CI that the project requires. If a check fails, the task goes back to its agent, or to a person after MOST_REFUSALS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sqlalchemy import select

from common import jobs
from common.jobs import Lease
from common.models.delivery import GroupMember, TaskGroup
from common.models.project import Project
from common.models.run import Run
from common.models.task import Task, TaskCheck
from common.sealing import seal, unseal
from common.services.projects import holding
from common.services.projects.places import check_of, place_of
from common.services.projects.variables import mask_of_project, mask_of_run
from common.services.runs import run_end
from common.services.runs.lifecycle import make_claimable
from common.services.tasks import flaky_tests, lifecycle, questions, scanning
from common.services.tasks.lifecycle import record_update
from common.services.tasks.preview_pictures import void_pictures
from common.services.tasks.red_base import BASE_IS_RED
from common.services.tasks.tasks import add_feedback
from common.settings import settings
from common.states import GROUP_LIVE, By, Outcome, Phase, RunState, TaskState
from common.transaction import Transaction, transactional
from common.values.check import Check
from common.values.commit_status import RequiredStatuses
from common.values.place import Place
from common.values.scans import ScanPlan

RIVAL_SECONDS = 120
"""How long a verification waits for the group that handed the task back because of a merge conflict: the same conflict
would occur until that group is delivered or ends."""
WITHOUT_NEW_BEHAVIOUR = frozenset({"tests", "refactor"})
"""Labels of tasks whose new tests may pass without the change."""
MOST_REFUSALS = 3
"""Failed verifications in a row after which a person is asked."""
STATUSES = "statuses"
"""The check of what the repository's own CI says."""
MOST_ACCEPTED = 1000
"""Lost tests that a check names, and a person can let go."""


PREPARE_SECONDS = 30
"""How long an agent waits for its run while the forge does not answer; after that the run is given up."""


@dataclass(frozen=True)
class RunPlan:
    """Input of `run.prepare` and `run.close`. is_overdue: the agent has waited for PREPARE_SECONDS."""

    place: Place
    run_id: str
    branch: str
    is_overdue: bool = False


@dataclass(frozen=True)
class ProofPlan:
    """Input of `run.verify`. claimed_sha: None if the agent named no commit. tests: None if there are none to run.

    tests_lost, tests_first: see Project; tests_first is `off` for tasks whose labels say that they change no behaviour.
    accepted_losses: names of tests that a person lets go. test_setup: patterns of files that define how the tests run;
    may_change_setup: the task may change them. quarantined: names of tests whose failures count for nothing.
    statuses: what the repository's own CI has to say of the commit; None: nothing is required.
    rival: (branch, head) of a live group that handed the task back because of a merge conflict; None if there is none,
    or after RIVAL_SECONDS.
    """

    place: Place
    run_id: str
    branch: str
    claimed_sha: str | None
    forbidden_paths: tuple[str, ...]
    tests_lost: str
    tests_first: str
    accepted_losses: frozenset[str]
    test_setup: tuple[str, ...]
    may_change_setup: bool
    quarantined: frozenset[str]
    rival: tuple[str, str] | None
    tests: Check | None
    scans: ScanPlan
    statuses: RequiredStatuses | None = None


@dataclass(frozen=True)
class CheckResult:
    """status: passed, failed, skipped or running. code: stable; why it failed, or a warning if it passed. message: a
    sentence. facts: the numbers in it, by name, for who says it in another language.
    """

    name: str
    status: str
    message: str
    code: str | None = None
    log: str | None = None
    facts: Mapping[str, int] = field(default_factory=dict)


@transactional
def begin_prepare(tx: Transaction, lease: Lease) -> RunPlan | None:
    """What to prepare; None if the run is over or already prepared."""
    run = tx.session.get(Run, lease.subject_id)
    if run is None or run.state is not RunState.PREPARING:
        return None
    task, project = tx.get(Task, run.task_id), tx.get(Project, run.project_id)
    is_overdue = run.created_at < tx.now() - timedelta(seconds=PREPARE_SECONDS)
    return RunPlan(place_of(project), run.id, task.branch_name, is_overdue)


@transactional
def record_prepared(tx: Transaction, lease: Lease, *, username: str, password: str, base_sha: str) -> None:
    """The branch and the credential exist: the agent may claim the run. base_sha: the default branch's head."""
    run = tx.get(Run, lease.subject_id)
    if tx.get(Project, run.project_id).holds:
        holding.release_project(tx, tx.lock(Project, run.project_id))
    if tx.get(Task, run.task_id).error is not None:
        task = tx.lock(Task, run.task_id)
        task.error = None
        record_update(tx, task, "error")
    run = tx.lock(Run, lease.subject_id)
    if run.state is RunState.PREPARING and run.secrets_sealed:
        secrets = unseal(run.secrets_sealed)
        run.secrets_sealed = seal({**secrets, "username": username, "password": password})
        run.base_sha = base_sha
        make_claimable(tx, run)
    tx.finish(lease)


@transactional
def fail_prepare(tx: Transaction, run_id: str, reason: str) -> None:
    """The run can't be prepared because of its task: it is lost, and the attempt counts."""
    run = tx.get(Run, run_id)
    _lose_unprepared(tx, run, tx.lock(Task, run.task_id), reason, counts=True)


@transactional
def record_prepare_refused(tx: Transaction, lease: Lease, reason: str) -> None:
    """Like fail_prepare, and finish the job."""
    fail_prepare(lease.subject_id, reason)
    tx.finish(lease)


@transactional
def record_unprepared(tx: Transaction, lease: Lease, reason: str) -> None:
    """No run of the project can be prepared: end this one, so that its agent is free, and hold the project's tasks."""
    run = tx.get(Run, lease.subject_id)
    project = tx.lock(Project, run.project_id)
    task = tx.lock(Task, run.task_id)
    masked = mask_of_run(tx, run)(reason)
    if _lose_unprepared(tx, run, task, masked, counts=False):
        holding.hold_project(tx, project, masked)
    tx.finish(lease)


def _lose_unprepared(tx: Transaction, run: Run, task: Task, reason: str, *, counts: bool) -> bool:
    """Lose a run that could not be prepared. Returns False if it was already over. The task is locked.

    The reason stays in the task's error until a run can be prepared.
    """
    run = tx.lock(Run, run.id)
    if run.state is RunState.ENDED:
        return False
    reason = mask_of_run(tx, run)(reason)
    run_end.end_run(tx, run, Outcome.LOST, reason)
    task.error = reason[:2000]
    lifecycle.requeue(tx, task, reason=reason, counts=counts)
    record_update(tx, task, "error")
    return True


@transactional
def begin_close(tx: Transaction, lease: Lease) -> RunPlan | None:
    """The run whose credential is to be revoked; None if the run is deleted."""
    run = tx.session.get(Run, lease.subject_id)
    if run is None:
        return None
    task, project = tx.get(Task, run.task_id), tx.get(Project, run.project_id)
    return RunPlan(place_of(project), run.id, task.branch_name)


@transactional
def record_closing(tx: Transaction, lease: Lease, *, after_seconds: float) -> None:
    """The credential is revoked. Run the job again later, to remove what is left of it."""
    tx.again(lease, after_seconds=after_seconds)


@transactional
def begin_proof(tx: Transaction, lease: Lease) -> ProofPlan | None:
    """What to verify; None if the task is not being verified, or if a newer run is."""
    run = tx.session.get(Run, lease.subject_id)
    if run is None:
        return None
    task = tx.get(Task, run.task_id)
    if task.phase is not Phase.VERIFYING or _newest_completed(tx, task.id) != run.id:
        return None
    project = tx.get(Project, task.project_id)
    tests = check_of(project, run.id, run.claimed_sha) if run.claimed_sha is not None else None
    return ProofPlan(
        place_of(project), run.id, task.branch_name, run.claimed_sha, tuple(project.forbidden_paths),
        project.tests_lost, _tests_first(project, task), frozenset(task.accepted_losses),
        tuple(project.test_setup), task.may_change_test_setup, flaky_tests.quarantined(tx, project.id),
        _rival(tx, task, run), tests, scanning.scan_plan(tx, project, task, run.id), _statuses(tx, project, run),
    )  # fmt: skip


def _tests_first(project: Project, task: Task) -> str:
    return "off" if WITHOUT_NEW_BEHAVIOUR & {label.lower() for label in task.labels} else project.tests_first


def _statuses(tx: Transaction, project: Project, run: Run) -> RequiredStatuses | None:
    if not project.required_statuses:
        return None
    minutes = settings().forge.status_minutes
    is_late = run.finished_at is None or run.finished_at < tx.now() - timedelta(minutes=minutes)
    return RequiredStatuses(tuple(project.required_statuses), minutes, is_late)


def _rival(tx: Transaction, task: Task, run: Run) -> tuple[str, str] | None:
    if run.finished_at is None or run.finished_at < tx.now() - timedelta(seconds=RIVAL_SECONDS):
        return None
    group = tx.find(
        select(TaskGroup)
        .join(GroupMember, GroupMember.group_id == TaskGroup.id)
        .where(
            GroupMember.task_id == task.id,
            GroupMember.removed_reason == "conflict",
            TaskGroup.state_.in_(GROUP_LIVE),
            TaskGroup.head_sha.is_not(None),
        )
        .order_by(TaskGroup.created_at.desc(), TaskGroup.id.desc())
    )
    return (group.branch, group.head_sha) if group is not None and group.head_sha is not None else None


def _newest_completed(tx: Transaction, task_id: str) -> str | None:
    query = (
        select(Run.id)
        .where(Run.task_id == task_id, Run.outcome == Outcome.COMPLETED)
        .order_by(Run.created_at.desc(), Run.id.desc())
        .limit(1)
    )
    return tx.session.execute(query).scalar_one_or_none()


@transactional
def record_checks(tx: Transaction, lease: Lease, results: Sequence[CheckResult], *, after_seconds: float) -> None:
    """Store the results so far, and run the job again later."""
    task = _verifying(tx, lease)
    if task is None:
        tx.finish(lease)
        return
    if _store(tx, task, lease.subject_id, _masked(tx, task, results)):
        record_update(tx, task, "checks")
    tx.again(lease, after_seconds=after_seconds)


@transactional
def record_tests_wait(tx: Transaction, lease: Lease, results: Sequence[CheckResult], reason: str) -> None:
    """Show that the tests have not begun, and why. The job continues to wait."""
    task = _verifying(tx, lease)
    tx.hold(lease)
    waits = CheckResult("tests", "running", f"The tests have not begun: {reason}")
    if task is not None and _store(tx, task, lease.subject_id, _masked(tx, task, [*results, waits])):
        record_update(tx, task, "checks")


@transactional
def record_proven(tx: Transaction, lease: Lease, results: Sequence[CheckResult]) -> None:
    """The commit passed all checks: the task's pull request and preview come next."""
    task = _verifying(tx, lease)
    if task is not None:
        _store(tx, task, lease.subject_id, _masked(tx, task, results))
        task.head_sha, task.updated_at = tx.get(Run, lease.subject_id).claimed_sha, tx.now()
        task.needs_other_approver = tx.get(Project, task.project_id).separate_approver
        record_update(tx, task, "checks", "head_sha")
        void_pictures(tx, task, keep=task.head_sha)
        tx.enqueue(jobs.PUBLISH_TASK, task.id, project_id=task.project_id)
    tx.finish(lease)


@transactional
def record_refused(tx: Transaction, lease: Lease, results: Sequence[CheckResult]) -> None:
    """A check failed: store the results, and refuse the work (see `refuse`)."""
    task = _verifying(tx, lease)
    if task is not None:
        results = _masked(tx, task, results)
        _store(tx, task, lease.subject_id, results)
        failed = next(result for result in results if result.status == "failed")
        refuse(tx, task, failed)
    tx.finish(lease)


def refuse(tx: Transaction, task: Task, failed: CheckResult) -> None:
    """Refuse the work of the task because of this failed check: queue it again, or ask a person after MOST_REFUSALS.

    If the default branch is to blame, a person is asked at once, and it is no refusal. The task is locked and in
    progress. The texts of `failed` are masked.
    """
    if failed.code == BASE_IS_RED:
        text = f"{failed.message} This is no fault of the task. How should it continue?"
        questions.ask(tx, task, text, context=failed.code, options=[], run_id=None)
        return
    tail = f"\n\n{failed.log[-4000:]}" if failed.log else ""
    add_feedback(tx, task, "refusal", f"{failed.code}: {failed.message}{tail}")
    lifecycle.refuse(tx, task)
    if task.refusals >= MOST_REFUSALS:
        reason = failed.message.rstrip(".")
        text = f"The work was refused {task.refusals} times, the last time because: {reason}. How should it continue?"
        questions.ask(tx, task, text, context=failed.code, options=[], run_id=None)
    else:
        lifecycle.queue_again(tx, task, by=By.PLATFORM)


@transactional
def give_up_proof(tx: Transaction, run_id: str, reason: str) -> None:
    """The verification itself could not be carried out: ask a person."""
    run = tx.get(Run, run_id)
    task = tx.lock(Task, run.task_id)
    if task.phase is Phase.VERIFYING:
        text = f"The platform could not verify the work: {mask_of_run(tx, run)(reason)} Answer this to try again."
        questions.ask(tx, task, text, context=None, options=[], run_id=None)


def _masked(tx: Transaction, task: Task, results: Sequence[CheckResult]) -> list[CheckResult]:
    """The results with secrets masked."""
    mask = mask_of_project(tx, task.project_id)
    return [
        replace(result, message=mask(result.message), log=mask.end_of(result.log) if result.log else result.log)
        for result in results
    ]


def _verifying(tx: Transaction, lease: Lease) -> Task | None:
    run = tx.get(Run, lease.subject_id)
    task = tx.lock(Task, run.task_id)
    is_current = task.state is TaskState.IN_PROGRESS and task.phase is Phase.VERIFYING
    return task if is_current and _newest_completed(tx, task.id) == run.id else None


def _store(tx: Transaction, task: Task, run_id: str, results: Sequence[CheckResult]) -> bool:
    """Store the results. Returns whether anything changed."""
    run = tx.get(Run, run_id)
    changed = False
    for result in results:
        row = tx.find(select(TaskCheck).where(TaskCheck.run_id == run_id, TaskCheck.name == result.name))
        if row is not None and (row.status, row.message) == (result.status, result.message):
            continue
        changed = True
        if row is None:
            row = TaskCheck(task_id=task.id, run_id=run_id, name=result.name, at=tx.now(), status="", commit_sha=None)
        row.status, row.code, row.message, row.log = result.status, result.code, result.message, result.log
        row.commit_sha, row.at, row.facts = run.claimed_sha, tx.now(), dict(result.facts)
        tx.add(row)
    return changed


@transactional
def look_for_statuses(tx: Transaction, project_id: str) -> int:
    """Have the project's verifications that wait for statuses look again at once. Returns how many there are."""
    waiting = (
        select(TaskCheck.run_id)
        .join(Task, Task.id == TaskCheck.task_id)
        .where(Task.project_id == project_id, Task.phase_ == Phase.VERIFYING)
        .where(TaskCheck.name == STATUSES, TaskCheck.status == "running")
        .order_by(TaskCheck.run_id)
    )
    run_ids = tx.session.scalars(waiting).all()
    for run_id in run_ids:
        tx.enqueue(jobs.VERIFY_RUN, run_id, project_id=project_id)
    return len(run_ids)


def store_check(tx: Transaction, task: Task, result: CheckResult) -> None:
    """Store a check that was made after the verification (of the preview) with the newest completed run."""
    run_id = _newest_completed(tx, task.id)
    if run_id is not None:
        _store(tx, task, run_id, [result])
