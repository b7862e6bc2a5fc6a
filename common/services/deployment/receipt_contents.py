"""What a receipt says: everything that led to a version in production, read in the transaction that makes it live.

It holds names, ids, times, counts and SHA-256 digests, and why a person overruled a review. Texts of requests and
prompts, logs and values of variables are never in it: a receipt lies in the repository, where everybody reads it who
can clone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import select

from common.models.delivery import Deployment, GroupMember, GroupTest, TaskGroup
from common.models.run import Run
from common.models.task import Task, TaskCheck
from common.secrets.sealing import unseal
from common.secrets.signing import digest_of
from common.services.deployment.rollback_effects import MovedGroups
from common.services.lifecycle.group_membership import member_task_ids
from common.transaction import Transaction
from common.values.delivery.stored_spec import read_spec, write_spec
from common.values.json_codec import Json
from common.values.states import Environment
from common.values.testing.agent_review import Purpose

_USED = ("inputTokens", "cachedTokens", "cacheWriteTokens", "outputTokens", "costUsd", "calls")
"""Of a run's totals."""
MOST_RUNS = 200
MOST_TESTS = 500
"""Runs of a task and tests of a group that a receipt names: the newest."""


@dataclass(frozen=True)
class LiveVersionFacts:
    """What the runtime and the forge say of a version that is live.

    tree_sha: of its commit; None: not asked. image: as `name@sha256:…`; None outside of a cluster.
    """

    tree_sha: str | None = None
    image: str | None = None


def delivery(tx: Transaction, deployment: Deployment, served: LiveVersionFacts) -> dict[str, Json]:
    """The part of a receipt that says how the version came about, for one that is no rollback."""
    group = tx.session.get(TaskGroup, deployment.task_group_id) if deployment.task_group_id else None
    said: dict[str, Json] = {"deployment": _deployed(deployment, served), "group": None, "staging": None, "tasks": []}
    if group is not None:
        members = _members(tx, group)
        said["group"] = _group(tx, group, [member for _task, member in members])
        said["staging"] = _staging(tx, deployment)
        said["tasks"] = [_task(tx, task, member.approved_sha) for task, member in members]
    return said


def rollback(tx: Transaction, deployment: Deployment, served: LiveVersionFacts, moved: MovedGroups) -> dict[str, Json]:
    """The part of a receipt that says what a rollback took out of production, and what it brought back."""
    left = tx.session.get(Deployment, deployment.rollback_of)
    return {
        "deployment": _deployed(deployment, served),
        "left": None if left is None else _short(left),
        "takenBack": [_moved(tx, group_id) for group_id in moved.taken],
        "broughtBack": [_moved(tx, group_id) for group_id in moved.back],
    }


def _deployed(deployment: Deployment, served: LiveVersionFacts) -> Json:
    spec = read_spec(unseal(deployment.spec_sealed))
    # Whoever reads the receipt could guess values that are short, if their digest were in it.
    without_values = dict.fromkeys(spec.variables.values, "")
    public = replace(spec, variables=replace(spec.variables, values=without_values))
    return {
        **_short(deployment),
        "createdAt": time_of(deployment.created_at),
        "startedAt": time_of(deployment.started_at),
        "treeSha": served.tree_sha,
        "image": served.image,
        "dockerImage": spec.docker_image,
        "specSha256": digest_of(json.dumps(write_spec(public), sort_keys=True, separators=(",", ":"))),
    }


def _short(deployment: Deployment) -> dict[str, Json]:
    return {
        "id": deployment.id,
        "version": deployment.version,
        "commitSha": deployment.commit_sha,
        "by": deployment.created_by,
        "liveAt": time_of(deployment.finished_at),
    }


def _staging(tx: Transaction, deployment: Deployment) -> Json:
    """The newest deployment to staging of the same commit by the same group; None if there was none."""
    found = tx.find(
        select(Deployment)
        .where(
            Deployment.task_group_id == deployment.task_group_id,
            Deployment.environment_ == Environment.STAGING,
            Deployment.commit_sha == deployment.commit_sha,
            Deployment.was_healthy.is_(True),
        )
        .order_by(Deployment.created_at.desc(), Deployment.id.desc())
        .limit(1)
    )
    return None if found is None else _short(found)


def _members(tx: Transaction, group: TaskGroup) -> list[tuple[Task, GroupMember]]:
    query = (
        select(Task, GroupMember)
        .join(GroupMember, GroupMember.task_id == Task.id)
        .where(GroupMember.group_id == group.id, GroupMember.removed_reason.is_(None))
        .order_by(GroupMember.position)
    )
    return [(task, member) for task, member in tx.session.execute(query)]


def _group(tx: Transaction, group: TaskGroup, members: Sequence[GroupMember]) -> Json:
    return {
        "id": group.id,
        "name": group.label,
        "by": group.created_by,
        "branch": group.branch,
        "baseSha": group.base_sha,
        "testedSha": group.tested_sha,
        "attempt": group.attempt,
        "merged": [
            {"taskId": one.task_id, "approvedSha": one.approved_sha, "mergedSha": one.merged_sha} for one in members
        ],
        "tests": _tests(tx, group),
    }


def _tests(tx: Transaction, group: TaskGroup) -> list[Json]:
    """The test runs of the attempt that was delivered, oldest first."""
    query = select(GroupTest).where(GroupTest.group_id == group.id, GroupTest.attempt == group.attempt)
    newest = tx.all(query.order_by(GroupTest.id.desc()).limit(MOST_TESTS))
    return [
        {
            "commitSha": test.commit_sha,
            "position": test.position,
            "passed": test.passed,
            "isKnown": test.is_known,
            "logSha256": digest_of(test.log),
            "at": time_of(test.at),
        }
        for test in reversed(newest)
    ]


def _task(tx: Transaction, task: Task, approved_sha: str) -> Json:
    return {
        "id": task.id,
        "title": task.title,
        "request": {
            "by": task.created_by,
            "at": time_of(task.created_at),
            "editedByIds": list(task.edited_by_ids),
            "sha256": digest_of(f"{task.title}\n\n{task.description}"),
        },
        "runs": _runs(tx, task.id),
        "reviews": _reviews(tx, task.id, approved_sha),
        "overruled": _overruled(tx, task.id, approved_sha),
        "checks": _checks(tx, task.id, approved_sha),
        "approval": {"commitSha": approved_sha, "by": task.approved_by, "at": time_of(task.approved_at)},
    }


def _runs(tx: Transaction, task_id: str) -> list[Json]:
    query = select(Run).where(Run.task_id == task_id, Run.started_at.is_not(None), Run.purpose == Purpose.WORK)
    newest = tx.all(query.order_by(Run.created_at.desc(), Run.id.desc()).limit(MOST_RUNS))
    return [
        {
            "id": run.id,
            "round": run.round,
            "agentId": run.agent_id,
            "driver": run.driver,
            "model": run.model,
            "promptSha256": run.prompt_digest,
            "freshPromptSha256": run.fresh_prompt_digest,
            "claimedSha": run.claimed_sha,
            "outcome": run.outcome,
            "usage": {name: run.usage[name] for name in _USED if name in run.usage},
            "startedAt": time_of(run.started_at),
            "endedAt": time_of(run.finished_at),
        }
        for run in reversed(newest)
    ]


def _reviews(tx: Transaction, task_id: str, commit_sha: str) -> list[Json]:
    """What other agents said of this commit, oldest first; those that gave no verdict are left out."""
    of_commit = (Run.task_id == task_id, Run.purpose == Purpose.REVIEW, Run.claimed_sha == commit_sha)
    query = select(Run).where(*of_commit, Run.verdict.is_not(None))
    return [
        {
            "runId": run.id,
            "agentId": run.agent_id,
            "driver": run.driver,
            "model": run.model,
            "promptSha256": run.prompt_digest,
            "verdict": run.verdict,
            "summarySha256": digest_of(run.summary or ""),
            "usage": {name: run.usage[name] for name in _USED if name in run.usage},
            "endedAt": time_of(run.finished_at),
        }
        for run in tx.all(query.order_by(Run.created_at, Run.id))
    ]


def _overruled(tx: Transaction, task_id: str, commit_sha: str) -> list[Json]:
    """Who went on with this commit without its review, and why, oldest first."""
    claims = (Run.task_id == task_id, Run.claimed_sha == commit_sha, Run.overruled_at.is_not(None))
    return [
        {"by": run.overruled_by, "reason": run.overruled_reason, "at": time_of(run.overruled_at)}
        for run in tx.all(select(Run).where(*claims).order_by(Run.overruled_at, Run.id))
    ]


def _checks(tx: Transaction, task_id: str, commit_sha: str) -> list[Json]:
    """The checks of the proof of this commit, in the order in which they ended."""
    query = select(TaskCheck).where(TaskCheck.task_id == task_id, TaskCheck.commit_sha == commit_sha)
    return [
        {
            "name": check.name,
            "status": check.status,
            "code": check.code,
            "runId": check.run_id,
            "logSha256": None if check.log is None else digest_of(check.log),
            "at": time_of(check.at),
        }
        for check in tx.all(query.order_by(TaskCheck.at, TaskCheck.id))
    ]


def _moved(tx: Transaction, group_id: str) -> Json:
    group = tx.get(TaskGroup, group_id)
    return {
        "groupId": group.id,
        "name": group.label,
        "commitSha": group.tested_sha,
        "taskIds": list(member_task_ids(tx, group_id)),
    }


def time_of(at: datetime | None) -> str | None:
    """As receipts write a time: UTC, in milliseconds."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
