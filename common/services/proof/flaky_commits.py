"""Commits of a task that were refused for flaky tests that the task itself adds or changes."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from common.models.run import Run
from common.models.task import Task, TaskCheck
from common.transaction import Transaction

OWN_FLAKY = "tests_flaky"
"""The code of a check of tests of which some that the work adds or changes are flaky."""


@dataclass(frozen=True)
class FlakyCommit:
    """said: what the check of its tests says."""

    commit_sha: str
    said: str


def flaky_before(tx: Transaction, task: Task, run: Run) -> tuple[FlakyCommit, ...]:
    """The commits of other runs that were refused so since a person last acted, newest first."""
    if not task.refusals:
        return ()
    refused = (TaskCheck.task_id == task.id, TaskCheck.code == OWN_FLAKY, TaskCheck.status == "failed")
    query = (
        select(TaskCheck)
        .join(Run, Run.id == TaskCheck.run_id)
        .where(*refused, Run.id != run.id, Run.round >= task.round - task.refusals)
        .order_by(Run.round.desc(), TaskCheck.id)
        .limit(task.refusals)
    )
    return tuple(FlakyCommit(row.commit_sha, row.message or "") for row in tx.all(query) if row.commit_sha)
