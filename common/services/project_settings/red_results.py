"""Stored results of tests that failed: void when a setting changes that may have made them fail, or a person asks."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import delete, select, update

from common.models.delivery import CommitVerdict, TestedCommit
from common.models.project import Project
from common.models.run import Run
from common.transaction import Transaction

_DECIDING = frozenset(
    {
        "cpuLimit", "memoryLimit", "dockerImage", "services", "cachePaths", "egress", "egressHosts", "envVars",
        "secretEnvVars", "secretsInChecks",
    }
)  # fmt: skip
"""Settings in the API on which the end of tests may depend. The commands and testReport are in the results' keys."""


_MASKED = frozenset({"envVars", "secretEnvVars"})
"""Settings whose values are masked in the names of tests."""


def forget_red_results(tx: Transaction, project: Project, changed: Collection[str]) -> None:
    """Have commits of the default branch whose tests failed tested again, if one of the changed settings may decide how
    they end. Where the names in a report may be masked otherwise from now on, also those that passed.

    A project without tests has no red default branch.
    """
    if project.test_command is None:
        project.red_base = None
    if _DECIDING.isdisjoint(changed):
        return
    claimed = select(Run.claimed_sha).where(Run.project_id == project.id, Run.claimed_sha.is_not(None))
    for stored in (CommitVerdict, TestedCommit):
        void = [stored.project_id == project.id]
        if stored is CommitVerdict or _MASKED.isdisjoint(changed):
            void.append(stored.passed.is_(False))
        unclaimed = delete(stored).where(*void, stored.commit_sha.not_in(claimed))
        tx.session.execute(unclaimed.execution_options(synchronize_session=False))
    # Those of a claimed commit are shown with its task. They are no runs to compare another one with: a test that ends
    # otherwise by other settings is not flaky.
    shown = update(TestedCommit).where(TestedCommit.project_id == project.id, TestedCommit.commit_sha.in_(claimed))
    tx.session.execute(shown.values(runs=0).execution_options(synchronize_session=False))


def forget_red_commit(tx: Transaction, project_id: str, commit_sha: str | None) -> None:
    """Have this commit tested again if its tests failed."""
    for stored in (CommitVerdict, TestedCommit):
        red = (stored.project_id == project_id, stored.commit_sha == commit_sha, stored.passed.is_(False))
        tx.session.execute(delete(stored).where(*red).execution_options(synchronize_session=False))
