"""The project's rule that puts flaky tests into quarantine, for which one of its maintainers answers.

Only flakes count that are not a task's own: on commits of the default branch, and on commits of tasks that neither add
nor change the test. All commits of one task count as one, so that no task alone can have a test ignored that stands in
its way. The rule looks when a flake is noted; it takes nothing out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from common.models.delivery import FlakyTest
from common.models.project import Project
from common.models.run import Run
from common.services.project_settings.named_people import may_own_quarantine
from common.services.proof import flaky_tests
from common.transaction import Snapshot, Transaction, snapshot, transactional
from common.values.testing.auto_quarantine import AutoQuarantine, Evidence, Flake, Stopped, read_auto_quarantine

MOST_AT_ONCE = 10
"""Flakes on one commit that count. If there are more, something beside the tests was broken, such as the machine."""


@dataclass(frozen=True)
class RuleStatus:
    """A project's rule, and why it puts no test into quarantine now; stopped None: it does. See AutoQuarantine."""

    commits: int
    days: int
    owner: str
    stopped: Stopped | None


def rule_status_of(at: Snapshot | Transaction, project: Project) -> RuleStatus | None:
    """The project's rule; None if it has none."""
    rule = read_auto_quarantine(project.auto_quarantine)
    return None if rule is None else RuleStatus(rule.commits, rule.days, rule.owner, _stopped(at, project, rule))


def _stopped(at: Snapshot | Transaction, project: Project, rule: AutoQuarantine) -> Stopped | None:
    if not may_own_quarantine(at, project, rule.owner):
        return Stopped.OWNER
    if len(flaky_tests.quarantined(at, project.id)) >= project.most_quarantined:
        return Stopped.FULL
    return None


def count_flakes_of_proof(project_id: str, run_id: str, names: Collection[str], commit_sha: str) -> None:
    """Count that these tests were red and green on a commit of a task that neither adds nor changes them.

    run_id: of the run that claims the commit. Safe to repeat: each commit is counted once.
    """
    if len(names) > MOST_AT_ONCE:
        return
    with snapshot() as read:
        # Looked at first: a proof that waits comes by each second with the same flakes.
        rows = [flaky_tests.row_of(read, project_id, name) for name in names]
    if any(row is not None and not _evidence(row).knows(commit_sha) for row in rows):
        _count_flakes_of_proof(project_id, run_id, names, commit_sha)


@transactional
def _count_flakes_of_proof(
    tx: Transaction, project_id: str, run_id: str, names: Collection[str], commit_sha: str
) -> None:
    tx.lock(Project, project_id)
    count_flakes(tx, project_id, names, commit_sha, task_id=tx.get(Run, run_id).task_id)


def count_flakes(
    tx: Transaction, project_id: str, names: Collection[str], commit_sha: str, *, task_id: str | None
) -> None:
    """Count flakes that were noted on the commit, and put the tests into quarantine for which the rule says so. None
    count if there are more than MOST_AT_ONCE.

    task_id: None for a commit of the default branch. The project is locked: no two of these see the same place free.
    """
    project = tx.lock(Project, project_id)
    if len(names) > MOST_AT_ONCE:
        return
    now = tx.now()
    for name in sorted(names):
        row = flaky_tests.row_of(tx, project_id, name)
        if row is None or _evidence(row).knows(commit_sha):
            continue
        row.evidence = _evidence(row).with_flake(Flake(commit_sha, task_id, now.timestamp()))
        _judge(tx, project, row)


def _judge(tx: Transaction, project: Project, row: FlakyTest) -> None:
    """Put the test into quarantine if the project has a rule that says so and is not stopped."""
    rule, now = read_auto_quarantine(project.auto_quarantine), tx.now()
    if rule is None or flaky_tests.is_quarantined(row, now) or flaky_tests.counted_on(row, now) < rule.commits:
        return
    tx.session.flush()
    if _stopped(tx, project, rule) is None:
        reason = (
            f"red and green on {flaky_tests.counted_on(row, now)} commits, all of one task counted as one; "
            f"in all on {row.flaked_on} of the {row.ran_on} on which it ran"
        )
        flaky_tests.begin_quarantine(tx, row, days=rule.days, reason=reason, who=rule.owner, is_by_rule=True)


def _evidence(row: FlakyTest) -> Evidence:
    return row.evidence or Evidence()
