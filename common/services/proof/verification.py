"""Database side of the job that verifies the result of a run (the proof).

An agent's report is only a claim. The platform checks, in this order, that the commit is the branch's head, changes
something, merges, changes no forbidden path, keeps the tests, passes them, and has the statuses of the repository's own
CI and the agent's review that the project asks for. If a check fails, the task goes back to its agent, or to a person
after MOST_REFUSALS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from common.jobs import catalogue
from common.jobs.catalogue import Lease
from common.models.delivery import GroupMember, TaskGroup
from common.models.project import Project
from common.models.run import Run
from common.models.task import Task, TaskCheck
from common.services.activity import heartbeat_reception
from common.services.changes.preview_pictures import void_pictures
from common.services.lifecycle import task_states
from common.services.lifecycle.run_states import newest_claim
from common.services.lifecycle.task_states import record_update
from common.services.project_settings.check_settings import settings_of
from common.services.project_settings.project_resources import check_of, location_of
from common.services.project_settings.variables import mask_of_project, mask_of_run, mask_or_sentence
from common.services.proof import flaky_tests, scan_rules
from common.services.proof.flaky_commits import FlakyCommit, flaky_before
from common.services.proof.flaky_tests import QUARANTINED_TESTS
from common.services.proof.red_base import BASE_IS_RED
from common.services.runs import run_end
from common.services.tasks import questions
from common.services.tasks.tasks import add_feedback
from common.settings import settings
from common.transaction import Transaction, transactional
from common.values.delivery.commit_status import RequiredStatuses
from common.values.delivery.project_location import ProjectLocation
from common.values.states import GROUP_LIVE, By, GroupState, Phase
from common.values.testing.agent_review import AGENT_REVIEW, NO_REVIEW
from common.values.testing.check import Check
from common.values.testing.coverage import may_be_measured
from common.values.testing.scans import ScanPlan

CONFLICT_WAIT_SECONDS = 120
"""How long a verification waits for the group that handed the task back because of a merge conflict: the same conflict
would occur until that group is delivered or ends."""
WITHOUT_NEW_BEHAVIOUR = frozenset({"tests", "refactor"})
"""Labels of tasks whose new tests may pass without the change."""
MOST_REFUSALS = 3
"""Failed verifications in a row after which a person is asked."""
STATUSES = "statuses"
"""The check of what the repository's own CI says."""
LIVE_LOG_SECONDS = 5.0
"""How often what running tests have printed is stored anew: each time all who look at the task read it."""
FIRST_POLL_SECONDS, POLL_SECONDS = 0.1, 0.5
"""How soon to look at a check that has just begun, and how often at one that takes long."""
NO_FAULT = frozenset({BASE_IS_RED, NO_REVIEW, QUARANTINED_TESTS})
"""Codes for which the work is not to blame."""
MOST_CHANGED_PATHS = 1000
"""That the log of the check `diff` names."""
COVERAGE = "coverage"
"""The check of the lines that no test touches."""
MOST_ACCEPTED = 1000
"""Lost tests that a check names, and a person can let go."""


@dataclass(frozen=True)
class ProofPlan:
    """Input of `run.verify`. claimed_sha: None if the agent named no commit. tests: None if there are none to run.

    tests_lost, tests_first: see Project; tests_first is `off` for tasks whose labels say that they change no behaviour.
    accepted_losses: names of tests that a person lets go. test_setup: patterns of files that define how the tests run;
    may_change_setup: the task may change them. quarantined: names of tests whose failures count for nothing.
    statuses: what the repository's own CI has to say of the commit; None: nothing is required. is_reviewed: another
    agent reviews the commit.
    coverage: see Project. runs_old_tests: the files of tests that it changes are run as they were, too.
    flaky_before: the task's commits, newest first, that were refused for their own flaky tests since a person last
    acted.
    rival: (branch, head) of a live group that handed the task back because of a merge conflict; None if there is none,
    or after RIVAL_SECONDS.
    is_void: the task is not being verified, or a newer run is: nobody needs a result.
    """

    location: ProjectLocation
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
    is_reviewed: bool = False
    coverage: str = "read"
    runs_old_tests: bool = False
    flaky_before: tuple[FlakyCommit, ...] = ()
    is_void: bool = False


@dataclass(frozen=True)
class CheckResult:
    """status: passed, failed, skipped or running. code: stable; why it failed, a warning if it passed, or what it waits
    for. message: a sentence. facts: the numbers in it, by name, for who says it in another language.
    """

    name: str
    status: str
    message: str
    code: str | None = None
    log: str | None = None
    facts: Mapping[str, int] = field(default_factory=dict)


@transactional
def begin_proof(tx: Transaction, lease: Lease) -> ProofPlan | None:
    """What to verify; None if the run is gone."""
    run = tx.session.get(Run, lease.subject_id)
    if run is None:
        return None
    task = tx.get(Task, run.task_id)
    plan = proof_plan(tx, tx.get(Project, task.project_id), task, run)
    return replace(plan, is_void=not _is_current(tx, task, run))


def _is_current(tx: Transaction, task: Task, run: Run) -> bool:
    return task.phase is Phase.VERIFYING and newest_claim(tx, task.id) is run


def proof_plan(tx: Transaction, project: Project, task: Task, run: Run) -> ProofPlan:
    return ProofPlan(
        location_of(project), run.id, task.branch_name, run.claimed_sha, tuple(project.forbidden_paths),
        project.tests_lost, _tests_first(project, task), frozenset(task.accepted_losses),
        tuple(project.test_setup), task.may_change_test_setup, flaky_tests.quarantined(tx, project.id),
        _conflicting_group(tx, task, run), check_of_claim(project, task, run),
        scan_rules.scan_plan(tx, project, task, run.id), _statuses(tx, project, run), project.agent_review is not None,
        project.coverage, project.tests_first != "off", flaky_before(tx, task, run),
    )  # fmt: skip


def check_of_claim(project: Project, task: Task, run: Run) -> Check | None:
    """The check of the claimed commit's tests; None if there are none to run.

    If the settings by which they run change meanwhile, the tests begin anew.
    """
    check = check_of(project, run.id, run.claimed_sha) if run.claimed_sha is not None else None
    if check is None:
        return None
    return replace(check, settings=settings_of(check, project.test_setup, task.may_change_test_setup))


def _tests_first(project: Project, task: Task) -> str:
    return "off" if WITHOUT_NEW_BEHAVIOUR & {label.lower() for label in task.labels} else project.tests_first


def _statuses(tx: Transaction, project: Project, run: Run) -> RequiredStatuses | None:
    if not project.required_statuses:
        return None
    minutes = settings().forge.status_minutes
    waits_since = None if run.finished_at is None else heartbeat_reception.waits_since(tx, run.finished_at)
    is_late = waits_since is None or waits_since < tx.now() - timedelta(minutes=minutes)
    return RequiredStatuses(tuple(project.required_statuses), minutes, is_late)


def _conflicting_group(tx: Transaction, task: Task, run: Run) -> tuple[str, str] | None:
    if run.finished_at is None or run.finished_at < tx.now() - timedelta(seconds=CONFLICT_WAIT_SECONDS):
        return None
    group = tx.find(
        select(TaskGroup)
        .join(GroupMember, GroupMember.group_id == TaskGroup.id)
        .where(
            GroupMember.task_id == task.id,
            GroupMember.removed_reason.in_(["conflict", "takes_back"]),
            TaskGroup.state_.in_(GROUP_LIVE),
            TaskGroup.head_sha.is_not(None),
        )
        .order_by(TaskGroup.created_at.desc(), TaskGroup.id.desc())
    )
    return (group.branch, group.head_sha) if group is not None and group.head_sha is not None else None


@transactional
def record_checks(
    tx: Transaction, lease: Lease, results: Sequence[CheckResult], *, after_seconds: float | None = None
) -> None:
    """Store the results so far, and run the job again later. Checks that began before and are not among the results
    go. after_seconds: None: a check runs, and is looked at soon if it has just begun, later the longer it takes.
    """
    task = _verifying(tx, lease)
    if task is None:
        # The next look has the runtime forget the checks that this one may have begun.
        tx.again(lease, after_seconds=0)
        return
    if _store(tx, task, lease.subject_id, _masked(tx, task, results)):
        _delete_others(tx, lease.subject_id, results, "running")
        record_update(tx, task, "checks")
    if after_seconds is not None:
        tx.again(lease, after_seconds=after_seconds)
        return
    # The check may break before it ends, and be started anew: then how long that has gone on counts.
    after_seconds = seconds_until_next_check(_running_seconds(tx, lease.subject_id, results[-1]))
    tx.again(lease, after_seconds=after_seconds, still_waits=True)


def seconds_until_next_check(running_seconds: float) -> float:
    """How long to wait before the next look at a check that has run for so long: longer each time."""
    return min(POLL_SECONDS, max(FIRST_POLL_SECONDS, running_seconds / 16))


def _running_seconds(tx: Transaction, run_id: str, check: CheckResult) -> float:
    """How long the check, which is stored as running, has run."""
    run = tx.get(Run, run_id)
    row = tx.find(select(TaskCheck).where(TaskCheck.run_id == run_id, TaskCheck.name == check.name))
    began = row.at if row is not None else tx.now()
    # The tests, which print, began with the proof. They are stored anew when they have printed more.
    began = run.finished_at if check.log and run.finished_at is not None else began
    return (tx.now() - began).total_seconds()


@transactional
def record_tests_wait(tx: Transaction, lease: Lease, results: Sequence[CheckResult], reason: str) -> None:
    """Show that the tests have not begun, and why. The job continues to wait."""
    task = _verifying(tx, lease)
    tx.hold(lease)
    if task is None:
        return
    reason = mask_or_sentence(mask_of_project, tx, task.project_id)(reason)
    waits = CheckResult("tests", "running", f"The tests have not begun: {reason}")
    if _store(tx, task, lease.subject_id, [*_masked(tx, task, results), waits]):
        record_update(tx, task, "checks")


@transactional
def record_proven(tx: Transaction, lease: Lease, results: Sequence[CheckResult]) -> None:
    """The commit passed all checks: the task's pull request and preview come next."""
    task = _verifying(tx, lease)
    if task is not None:
        _store(tx, task, lease.subject_id, _masked(tx, task, results))
        task.head_sha, task.updated_at = tx.get(Run, lease.subject_id).claimed_sha, tx.now()
        _close_checks(tx, task, lease.subject_id, results)
        project = tx.get(Project, task.project_id)
        task.needs_other_approver = project.separate_approver
        if _is_measured(project, results):
            tx.enqueue(catalogue.MEASURE_COVERAGE, lease.subject_id, project_id=task.project_id)
        record_update(tx, task, "checks", "head_sha")
        void_pictures(tx, task, keep=task.head_sha)
        tx.enqueue(catalogue.PUBLISH_TASK, task.id, project_id=task.project_id)
    tx.finish(lease)


def _is_measured(project: Project, results: Sequence[CheckResult]) -> bool:
    """Whether the lines that the tests touch have to be found out, as the tests themselves did not report them."""
    if project.coverage != "run" or project.test_command is None or not may_be_measured(project.test_command):
        return False
    return all(result.name != COVERAGE for result in results)


@transactional
def record_refused(tx: Transaction, lease: Lease, results: Sequence[CheckResult]) -> None:
    """A check failed: store the results, and refuse the work (see `refuse`)."""
    task = _verifying(tx, lease)
    if task is not None:
        results = _masked(tx, task, results)
        failed = next(result for result in results if result.status == "failed")
        if failed.name == AGENT_REVIEW and tx.get(Run, lease.subject_id).overruled_at is not None:
            # A person overruled the review after the job had read what it says.
            tx.again(lease, after_seconds=0)
            return
        _store(tx, task, lease.subject_id, results)
        _close_checks(tx, task, lease.subject_id, results)
        refuse(tx, task, failed)
    tx.finish(lease)


def _close_checks(tx: Transaction, task: Task, run_id: str, results: Sequence[CheckResult]) -> None:
    """The proof has ended: so does a review that its results do not need, as of a commit that was pushed over. Checks
    that were begun or failed before and are not among its results go, as of a rule that was switched off meanwhile.
    """
    run_end.end_review(tx, task.id, "the proof of its commit has ended")
    _delete_others(tx, run_id, results, "running", "failed")


def _delete_others(tx: Transaction, run_id: str, results: Sequence[CheckResult], *statuses: str) -> None:
    names = [result.name for result in results]
    left = (TaskCheck.run_id == run_id, TaskCheck.status.in_(statuses), TaskCheck.name.not_in(names))
    tx.session.execute(delete(TaskCheck).where(*left).execution_options(synchronize_session=False))


def refuse(tx: Transaction, task: Task, failed: CheckResult) -> None:
    """Refuse the work of the task because of this failed check: queue it again, or ask a person after MOST_REFUSALS.

    If the work is not to blame (NO_FAULT), a person is asked at once, and it is no refusal. The task is locked and in
    progress. The texts of `failed` are masked.
    """
    if failed.code in NO_FAULT:
        text = f"{failed.message} This is no fault of the task. How should it continue?"
        claim = newest_claim(tx, task.id)
        proven = claim.id if claim is not None else None
        questions.ask(tx, task, text, context=failed.code, options=[], run_id=None, proven_run_id=proven)
        return
    tail = f"\n\n{failed.log[-4000:]}" if failed.log else ""
    add_feedback(tx, task, "refusal", f"{failed.code}: {failed.message}{tail}")
    task_states.refuse(tx, task)
    if task.refusals >= MOST_REFUSALS:
        reason = failed.message.rstrip(".")
        text = f"The work was refused {task.refusals} times, the last time because: {reason}. How should it continue?"
        questions.ask(tx, task, text, context=failed.code, options=[], run_id=None)
    else:
        task_states.queue_again(tx, task, by=By.PLATFORM)


@transactional
def give_up_proof(tx: Transaction, run_id: str, reason: str) -> None:
    """The verification itself could not be carried out: ask a person."""
    run = tx.get(Run, run_id)
    task = tx.lock(Task, run.task_id)
    if _is_current(tx, task, run):
        _close_checks(tx, task, run_id, ())
        text = f"The platform could not verify the work: {mask_of_run(tx, run)(reason)} Answer this to try again."
        questions.ask(tx, task, text, context=None, options=[], run_id=None, proven_run_id=run_id)


def _masked(tx: Transaction, task: Task, results: Sequence[CheckResult]) -> list[CheckResult]:
    """The results with secrets masked."""
    if not results:
        return []
    mask = mask_of_project(tx, task.project_id)
    return [
        replace(result, message=mask(result.message), log=mask.end_of(result.log) if result.log else result.log)
        for result in results
    ]


def _verifying(tx: Transaction, lease: Lease) -> Task | None:
    run = tx.get(Run, lease.subject_id)
    task = tx.lock(Task, run.task_id)
    return task if _is_current(tx, task, run) else None


def _store(tx: Transaction, task: Task, run_id: str, results: Sequence[CheckResult]) -> bool:
    """Store the results. Returns whether anything changed."""
    run = tx.get(Run, run_id)
    changed = False
    for result in results:
        row = tx.find(select(TaskCheck).where(TaskCheck.run_id == run_id, TaskCheck.name == result.name))
        if row is not None and not _has_news(row, result, tx.now()):
            continue
        changed = True
        if row is None:
            row = TaskCheck(task_id=task.id, run_id=run_id, name=result.name, at=tx.now(), status="", commit_sha=None)
        row.status, row.code, row.message, row.log = result.status, result.code, result.message, result.log
        row.commit_sha, row.at, row.facts = run.claimed_sha, tx.now(), dict(result.facts)
        tx.add(row)
    return changed


def _has_news(row: TaskCheck, result: CheckResult, now: datetime) -> bool:
    """Whether the result is to be stored: it is another one, or a running check has printed more."""
    if (row.status, row.message) != (result.status, result.message):
        return True
    if result.status != "running" or not result.log or row.log == result.log:
        return False
    return not row.log or row.at <= now - timedelta(seconds=LIVE_LOG_SECONDS)


@transactional
def check_statuses_again(tx: Transaction, project_id: str) -> int:
    """Have the project's verifications and groups that wait for statuses look again at once. Returns how many there
    are."""
    waiting = (
        select(TaskCheck.run_id)
        .join(Task, Task.id == TaskCheck.task_id)
        .where(Task.project_id == project_id, Task.phase_ == Phase.VERIFYING)
        .where(TaskCheck.name == STATUSES, TaskCheck.status == "running")
        .order_by(TaskCheck.run_id)
    )
    run_ids = tx.session.scalars(waiting).all()
    for run_id in run_ids:
        tx.enqueue(catalogue.VERIFY_RUN, run_id, project_id=project_id)
    merging = select(TaskGroup).where(TaskGroup.project_id == project_id, TaskGroup.state_ == GroupState.MERGING)
    groups = [group for group in tx.all(merging.order_by(TaskGroup.id)) if group.build.statuses is not None]
    for group in groups:
        tx.enqueue(catalogue.MERGE_GROUP, group.id, project_id=project_id)
    return len(run_ids) + len(groups)


def store_check(tx: Transaction, task: Task, result: CheckResult) -> None:
    """Store a check that was made after the verification with the newest completed run."""
    claim = newest_claim(tx, task.id)
    if claim is not None:
        _store(tx, task, claim.id, _masked(tx, task, [result]))
