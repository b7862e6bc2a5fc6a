"""Testing a group's release branch: which commit is tested next, and what the results mean for the group.

If the branch is red, bisection finds the member that broke it (common/services/delivery/bisection.py). This member is
taken out and handed back to its agent with the results; the branch is rebuilt from the others. If the default branch
is red or the tests are flaky, no member is blamed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from common.jobs.catalogue import Lease
from common.models.delivery import CommitVerdict, TaskGroup
from common.models.project import Project
from common.models.task import Task
from common.services.delivery import test_run_log
from common.services.delivery.bisection import (
    BaseIsRed,
    Culprit,
    Decision,
    Flaky,
    Passed,
    RunNext,
    Tally,
    command_digest,
    decide,
)
from common.services.delivery.group_statuses import lock_current, pass_tests
from common.services.lifecycle import group_states
from common.services.lifecycle.group_membership import commit_at, members_of
from common.services.lifecycle.group_states import forget_problem, note_problem
from common.services.lifecycle.task_states import send_back
from common.services.project_settings.project_resources import check_of
from common.services.project_settings.variables import mask_of_project
from common.services.proof import flaky_tests, test_results
from common.services.proof.red_base import BASE_IS_RED, is_red
from common.services.tasks.tasks import add_feedback
from common.services.upkeep.purging import purge
from common.settings import settings
from common.transaction import Transaction, snapshot, transactional
from common.values.states import By, TaskState
from common.values.testing.build_results import BASE_RUNS, BuildResults, TrialRun
from common.values.testing.check import Check

LONGEST_LOG = 4000
FLAKY, QUARANTINED = "flaky", "quarantined"


@dataclass(frozen=True)
class Trial:
    """One run of the project's tests.

    position: how many members the commit holds; 0 is the default branch. attempt: the group's attempt, whose rise makes
    the result void. check None: the project has no tests. number: how many runs of the commit there are in this
    attempt, with this one. quarantined: names of tests whose failures count for nothing.
    seconds: how long it has been running.
    """

    attempt: int
    position: int
    check: Check | None
    number: int = 1
    quarantined: frozenset[str] = frozenset()
    seconds: float = 0.0


def next_trial(tx: Transaction, group: TaskGroup, project: Project) -> Trial:
    """The next test run of the group. All of its members are merged, and the group is locked."""
    count, command = len(members_of(tx, group)), project.test_command
    if command is None:
        return Trial(group.attempt, count, None)
    digest, settings = command_digest(command, project.setup_command), _settings_in_force(project, group)
    if group.build.command != digest or group.build.settings not in {None, settings}:
        # Results of other settings do not count. A new attempt gives the checks new names.
        group.attempt += 1 if group.build.command is not None else 0
        group.build = BuildResults(digest, left=group.build.unfinished)
    group.build = replace(group.build, settings=settings)
    quarantined = flaky_tests.quarantined(tx, project.id)
    if group.build.green_runs is None:
        # With another number, the runs so far might already have an end that nobody recorded.
        begun_with = tuple(sorted(quarantined))
        group.build = replace(group.build, green_runs=project.group_test_runs, quarantined=begun_with)
    decision = decide(count, group.build.runs, green_runs=green_runs_of(group, project))
    assert isinstance(decision, RunNext), f"group {group.id} is {group.state} with the decision {decision}"
    position = decision.position
    now = tx.now().timestamp()
    if group.build.since is None:
        group.build = replace(group.build, since=now)
    number = Tally(group.build.runs).total(position) + 1
    # Only a name: nothing is read out of it again.
    check_id = f"{group.id}-{group.attempt}-{position}-{number}"
    group.build = replace(group.build, check_id=check_id)
    check = check_of(project, check_id, commit_at(tx, group, position), is_approved=True)
    seconds = now - (group.build.since or now)
    return Trial(group.attempt, position, check, number, quarantined, seconds)


def _settings_in_force(project: Project, group: TaskGroup) -> str | None:
    """The settings by which the group's tests would run now; None if the project has no tests."""
    check = check_of(project, group.id, group.head_sha or "", is_approved=True)
    return None if check is None else check.settings


def green_runs_of(group: TaskGroup, project: Project) -> int:
    """How often the group's branch must be green, in this attempt: see `bisection.decide`."""
    return project.group_test_runs if group.build.green_runs is None else group.build.green_runs


@transactional
def record_testing(tx: Transaction, lease: Lease, *, after_seconds: float) -> None:
    """The test still runs: run the job again after after_seconds."""
    # It may break before it ends, and be started anew. Without this, that would go on for ever.
    tx.again(lease, after_seconds=after_seconds, still_waits=True)


@transactional
def record_untested(tx: Transaction, lease: Lease, trial: Trial) -> None:
    """The project has no test command: the merged branch passes untested."""
    group = lock_current(tx, lease, trial.attempt)
    if group is None:
        tx.again(lease, after_seconds=0)
    elif left := group.build.unfinished:
        # Those of a command that was removed are stopped first.
        group.build = replace(group.build, left=left, check_id="", since=None)
        tx.again(lease, after_seconds=0)
    else:
        # Runs of a command that was removed are no result for the whole branch.
        group.build = BuildResults()
        _forget_verdicts(group)
        pass_tests(tx, lease, group)


@transactional
def record_tested(
    tx: Transaction,
    lease: Lease,
    trial: Trial,
    *,
    passed: bool,
    reason: str = "",
    log: str = "",
    ignored: Collection[str] = (),
) -> None:
    """Store the result of one run. Then another run follows, or the group goes on, loses a member, or fails.

    reason, log: why it failed, and the end of its output; masked here. ignored: tests in quarantine that failed, and
    nothing else did. The result is dropped if the group was rebuilt or ended since the run began.
    """
    group = lock_current(tx, lease, trial.attempt)
    if group is None:
        tx.again(lease, after_seconds=0)
        return
    mask = mask_of_project(tx, group.project_id)
    reason, log = mask(reason), mask.end_of(log)
    in_quarantine = tuple(sorted({*group.build.ignored, *mask.lines(sorted(ignored))}))
    group.build = replace(group.build, since=None, check_id="", ignored=in_quarantine)
    _add_runs(group, [TrialRun(trial.position, passed, trial.seconds)], reason, log)
    test_run_log.store_test_run(tx, group, trial.position, passed=passed, reason=reason, log=log)
    if _has_other_settings(tx, group) or _has_other_quarantine(tx, group):
        # Runs of before failed by what counts for nothing now, or the other way round.
        group.attempt, group.build = group.attempt + 1, BuildResults(group.build.command, left=group.build.left)
        tx.again(lease, after_seconds=0)
        return
    decision = _decide(tx, group)
    _remember(tx, group, trial, decision)
    if isinstance(decision, Passed):
        _forget_verdicts(group)
        if group.build.ignored:
            names = ", ".join(group.build.ignored)
            note_problem(group, None, QUARANTINED, f"Tests in quarantine failed, which counts for nothing: {names}")
        if decision.is_flaky:
            _note_flaky(tx, group, len(members_of(tx, group)), "It went on, as most of them passed; no task is blamed.")
        pass_tests(tx, lease, group)
    elif isinstance(decision, BaseIsRed | Flaky):
        _fail(tx, group, decision)
        tx.finish(lease)
    else:
        if isinstance(decision, Culprit):
            _take_out_culprit(tx, group, decision)
        tx.again(lease, after_seconds=0)


def _has_other_settings(tx: Transaction, group: TaskGroup) -> bool:
    """Whether the tests would run by other settings than when the attempt began."""
    begun_with = group.build.settings
    return begun_with is not None and begun_with != _settings_in_force(tx.get(Project, group.project_id), group)


def _has_other_quarantine(tx: Transaction, group: TaskGroup) -> bool:
    """Whether other tests are in quarantine than when the attempt began, and tests failed in it."""
    begun_with = group.build.quarantined
    if begun_with is None or set(begun_with) == flaky_tests.quarantined(tx, group.project_id):
        return False
    return bool(group.build.ignored) or not all(run.passed for run in group.build.runs)


def _add_runs(group: TaskGroup, runs: Sequence[TrialRun], reason: str | None, log: str | None) -> None:
    group.build = replace(group.build, runs=(*group.build.runs, *runs))
    if not runs[-1].passed:
        group.build = replace(group.build, reason=reason or "the tests failed", log=(log or "")[-LONGEST_LOG:])


def _decide(tx: Transaction, group: TaskGroup) -> Decision:
    """Decide what follows, using the stored result of the default branch's commit if an earlier group tested it."""
    count, green_runs = len(members_of(tx, group)), green_runs_of(group, tx.get(Project, group.project_id))
    decision = decide(count, group.build.runs, green_runs=green_runs)
    if decision == RunNext(0) and not Tally(group.build.runs).total(0):
        known = _known_base(tx, group)
        if known is not None:
            passed, reason, log = known
            _add_runs(group, [TrialRun(0, passed)] * (1 if passed else BASE_RUNS), reason, log)
            test_run_log.store_test_run(tx, group, 0, passed=passed, reason=reason, log=log, is_known=True)
            decision = decide(count, group.build.runs, green_runs=green_runs)
    return decision


def _known_base(tx: Transaction, group: TaskGroup) -> tuple[bool, str | None, str | None] | None:
    """Whether the default branch's head passed, why not, and the log, if an earlier group or a proof tested it."""
    verdict = tx.session.get(CommitVerdict, _key(group, group.base_sha))
    if verdict is not None:
        return verdict.passed, verdict.reason, verdict.log
    project = tx.get(Project, group.project_id)
    check = check_of(project, group.id, group.base_sha) if group.base_sha is not None else None
    known = test_results.find_tested(tx, check) if check is not None else None
    if known is None:
        return None
    if is_red(known, flaky_tests.quarantined(tx, project.id)):
        return False, known.reason, known.log
    # Of more runs than one, some were red: they are no ground to rely on.
    return (True, None, None) if known.passed and known.runs == 1 else None


def _key(group: TaskGroup, commit_sha: str | None) -> tuple[str, str | None, str | None]:
    return group.project_id, commit_sha, group.build.command


def _remember(tx: Transaction, group: TaskGroup, trial: Trial, decision: Decision) -> None:
    """Store the results of commits that later groups build on: the default branch's head, and the tested head that
    becomes the default branch on delivery. Results of a commit that was both red and green are deleted.
    """
    if isinstance(decision, Flaky):
        known = tx.session.get(CommitVerdict, _key(group, commit_at(tx, group, decision.position)))
        if known is not None:
            tx.session.delete(known)
    elif isinstance(decision, BaseIsRed):
        _store(tx, group, group.base_sha, passed=False)
    elif trial.check is not None and (
        decision == Passed() or (trial.position == 0 and Tally(group.build.runs).passed(0))
    ):
        _store(tx, group, trial.check.commit, passed=True)


def _store(tx: Transaction, group: TaskGroup, commit_sha: str | None, *, passed: bool) -> None:
    if tx.session.get(CommitVerdict, _key(group, commit_sha)) is None:
        project_id, sha, digest = _key(group, commit_sha)
        said = {} if passed else {"reason": group.build.reason, "log": group.build.log}
        tx.add(
            CommitVerdict(
                project_id=project_id, commit_sha=sha, command_digest=digest, passed=passed, at=tx.now(), **said
            )
        )


def purge_verdicts() -> int:
    """Delete the stored results of AIWORKER_KEEP_DAYS ago: a later group tests such a commit again.

    Returns how many. Safe to repeat.
    """
    with snapshot() as read:
        old = read.now() - timedelta(days=settings().retention.log_days)
    return purge(CommitVerdict.commit_sha, CommitVerdict.at < old, order=CommitVerdict.at)


def _forget_verdicts(group: TaskGroup) -> None:
    """The branch passed: what an earlier attempt said of the tests holds no more."""
    for kind in (FLAKY, BASE_IS_RED, QUARANTINED):
        forget_problem(group, None, kind)


def _fail(tx: Transaction, group: TaskGroup, decision: BaseIsRed | Flaky) -> None:
    """Fail the group without blaming a task: all stay in it, and a person may retry it."""
    if isinstance(decision, Flaky):
        said = _note_flaky(
            tx,
            group,
            decision.position,
            "No task is blamed, and all stay in the group. Mend the tests or put them into quarantine, and retry.",
        )
    else:
        branch = tx.get(Project, group.project_id).default_branch
        said = _note_verdict(
            group, BASE_IS_RED,
            f"The default branch {branch} is red without any task of the group: {_result(tx, group, 0)}. No task is "
            f"blamed, and all stay in the group. Fix {branch}, or add a task that does, and retry.",
        )  # fmt: skip
    group_states.fail_group(tx, group, said)


def _note_flaky(tx: Transaction, group: TaskGroup, position: int, so: str) -> str:
    return _note_verdict(group, FLAKY, f"The tests are flaky: {_result(tx, group, position)}. {so}")


def _note_verdict(group: TaskGroup, kind: str, text: str) -> str:
    for old in (FLAKY, BASE_IS_RED):
        forget_problem(group, None, old)
    note_problem(group, None, kind, f"{text}\n\n{group.build.reason}\n\n{group.build.log}".strip())
    group.build = replace(group.build, verdict=kind, says=text)
    return text


def _take_out_culprit(tx: Transaction, group: TaskGroup, decision: Culprit) -> None:
    """Hand the member that broke the tests back to its agent and rebuild the group from the others."""
    culprit = members_of(tx, group)[decision.position - 1]
    detail = (
        f"{_result(tx, group, decision.position)}, where it is merged, and before that "
        f"{_result(tx, group, decision.position - 1)}: {group.build.reason}"
    )
    hand_back(tx, group, culprit.task_id, "tests_failed", f"{detail}\n\n{group.build.log}".strip())
    group_states.go_on_without(tx, group, by=By.PLATFORM)


def hand_back(
    tx: Transaction, group: TaskGroup, task_id: str, kind: str, detail: str, files: Sequence[str] = ()
) -> None:
    """Take the task out of the group and give it back to its agent with the detail as feedback.

    kind: conflict, takes_back, unrelated_history or tests_failed. files: paths in conflict, or taken back. The caller
    decides what becomes of the group.
    """
    if not group_states.remove_member(tx, group, task_id, kind):
        return
    note_problem(group, task_id, kind, detail, files)
    task = tx.lock(Task, task_id)
    if task.state is TaskState.APPROVED:
        add_feedback(tx, task, "group", f"{kind}: {detail}")
        send_back(tx, task, by=By.PLATFORM)
    tx.session.flush()


def _result(tx: Transaction, group: TaskGroup, position: int) -> str:
    """A phrase such as `the tests failed in 2 of 3 runs at 0123456789ab (main)`."""
    tally = Tally(group.build.runs)
    failed, total = tally.failed(position), tally.total(position)
    how = f"failed in {failed}" if failed else f"passed in {total}"
    branch = group.branch if position else tx.get(Project, group.project_id).default_branch
    runs = "run" if total == 1 else "runs"
    return f"the tests {how} of {total} {runs} at {commit_at(tx, group, position)[:12]} ({branch})"
