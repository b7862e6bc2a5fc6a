"""The statuses of the repository's own CI on a group's merged commit, awaited when its tests have passed.

They say something of the whole commit, so no member is blamed if they fail: the group does, and a person decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from common.jobs.catalogue import Lease
from common.models.delivery import TaskGroup
from common.models.project import Project
from common.services.activity import heartbeat_reception
from common.services.lifecycle import group_states
from common.services.lifecycle.group_states import forget_problem, lock_with_tasks, note_problem
from common.services.project_settings.variables import mask_of_project
from common.services.proof.verification import CheckResult
from common.settings import settings
from common.transaction import Transaction, transactional
from common.values.delivery.commit_status import RequiredStatuses, StatusCode
from common.values.names import RELEASE_PREFIX
from common.values.states import GroupState
from common.values.testing.build_results import MergedStatuses

_REMEDIES = {
    StatusCode.FAILED: "See what the CI says of it, take out the task that breaks it, or mend the CI, and retry.",
    StatusCode.MISSING: f"Have the CI run on pushes to {RELEASE_PREFIX}*, and retry.",
}
_REMEDY = "See what the CI does with it, and retry."


@dataclass(frozen=True)
class AwaitedStatuses:
    """What the CI has to say of a group's merged commit. attempt: the group's, whose rise makes the result void."""

    attempt: int
    commit_sha: str
    required: RequiredStatuses


def pass_tests(tx: Transaction, lease: Lease, group: TaskGroup) -> None:
    """The merged commit passed its tests, or the project has none: the group waits for the CI, or goes on."""
    if tx.get(Project, group.project_id).required_statuses:
        group.build = replace(group.build, statuses=MergedStatuses(tx.now().timestamp()))
        tx.again(lease, after_seconds=0)
    else:
        _go_on(tx, lease, group)


def awaited_statuses(tx: Transaction, group: TaskGroup, project: Project) -> AwaitedStatuses | None:
    """None if the group does not wait for the CI, or not yet. All of its members are merged."""
    if group.build.statuses is None or group.head_sha is None:
        return None
    minutes = settings().forge.status_minutes
    since = heartbeat_reception.waits_since(tx, datetime.fromtimestamp(group.build.statuses.since, UTC))
    is_late = since < tx.now() - timedelta(minutes=minutes)
    required = RequiredStatuses(tuple(project.required_statuses), minutes, is_late)
    return AwaitedStatuses(group.attempt, group.head_sha, required)


@transactional
def record_statuses(
    tx: Transaction, lease: Lease, awaited: AwaitedStatuses, result: CheckResult, *, after_seconds: float
) -> None:
    """Store what the CI says. The group goes on if it passes and fails if it does not; else look after after_seconds.

    The texts of the result are masked here. It is dropped if the group was rebuilt or ended since it was asked for.
    """
    group = lock_current(tx, lease, awaited.attempt)
    if group is None or group.build.statuses is None:
        tx.again(lease, after_seconds=0)
        return
    mask = mask_of_project(tx, group.project_id)
    seen = replace(group.build.statuses, status=result.status, says=mask(result.message))
    group.build = replace(group.build, statuses=seen)
    if result.status == "running":
        tx.again(lease, after_seconds=after_seconds)
    elif result.status == "passed":
        _go_on(tx, lease, group)
    else:
        _fail(tx, group, result, mask.end_of(result.log or ""), seen.says)
        tx.finish(lease)


def lock_current(tx: Transaction, lease: Lease, attempt: int) -> TaskGroup | None:
    """The group, locked; None if it was rebuilt or ended since this attempt at building it."""
    group = lock_with_tasks(tx, lease.subject_id)
    is_current = group is not None and group.state is GroupState.MERGING and group.attempt == attempt
    return group if is_current else None


def _go_on(tx: Transaction, lease: Lease, group: TaskGroup) -> None:
    for code in StatusCode:
        forget_problem(group, None, code)
    group_states.complete_merge(tx, group)
    if group.wants_staging:
        tx.again(lease, after_seconds=0)
    else:
        tx.finish(lease)


def _fail(tx: Transaction, group: TaskGroup, result: CheckResult, log: str, says: str) -> None:
    code = StatusCode(result.code or StatusCode.FAILED)
    said = (
        f"{says} It is the merged commit {(group.head_sha or '')[:12]} ({group.branch}). No task is blamed, and all "
        f"stay in the group. {_REMEDIES.get(code, _REMEDY)}"
    )
    for old in StatusCode:
        forget_problem(group, None, old)
    note_problem(group, None, code.value, f"{said}\n\n{log}".strip())
    group_states.fail_group(tx, group, said)
