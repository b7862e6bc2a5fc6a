"""Stored results of tests that failed: void when a setting changes that may have made them fail, or a person asks."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import delete, select

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
    """
    if _DECIDING.isdisjoint(changed):
        return
    # Those of a claimed commit are shown with its task, and nothing else goes by them.
    claimed = select(Run.claimed_sha).where(Run.project_id == project.id, Run.claimed_sha.is_not(None))
    for stored in (CommitVerdict, TestedCommit):
        void = [stored.project_id == project.id, stored.commit_sha.not_in(claimed)]
        if stored is CommitVerdict or _MASKED.isdisjoint(changed):
            void.append(stored.passed.is_(False))
        tx.session.execute(delete(stored).where(*void).execution_options(synchronize_session=False))


def forget_red_commit(tx: Transaction, project_id: str, commit_sha: str | None) -> None:
    """Have this commit tested again if its tests failed."""
    for stored in (CommitVerdict, TestedCommit):
        red = (stored.project_id == project_id, stored.commit_sha == commit_sha, stored.passed.is_(False))
        tx.session.execute(delete(stored).where(*red).execution_options(synchronize_session=False))
