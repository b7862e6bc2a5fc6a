"""A default branch whose own tests fail: reported once, and blamed on nobody."""

from __future__ import annotations

from collections.abc import Collection

from common.events.catalogue import BaseTested, ProjectStatusChanged
from common.models.project import Project
from common.services.project_settings.red_results import forget_red_commit
from common.services.proof.test_results import Tested
from common.services.requests.access import Caller
from common.transaction import Transaction, snapshot, transactional
from common.values.states import Role
from common.values.testing.build_results import BASE_RUNS
from common.values.testing.red_base import RedBase

BASE_IS_RED = "base_is_red"
MOST_NAMED = 100
LONGEST_LOG = 20_000


def is_red(tested: Tested, ignored: Collection[str] = ()) -> bool:
    """Whether the commit failed in BASE_RUNS runs, by more than the ignored tests."""
    if tested.passed or tested.runs < BASE_RUNS:
        return False
    red = tested.report.red()
    return not tested.report.is_usable or not red or not red <= set(ignored)


def record_base(project_id: str, commit_sha: str, tested: Tested, *, ignored: Collection[str]) -> None:
    """Remember whether the default branch's head, this commit, is red, and tell of a change. Safe to repeat.

    ignored: tests in quarantine. A commit that stays red is told of again only for tests that were green before.
    """
    with snapshot() as read:
        project = read.get(Project, project_id)
        known = project.red_base if project is not None else None
    # Looked at first: a proof that waits comes by each second, and hardly ever is there anything to write.
    is_news = is_red(tested, ignored) and (known is None or known.commit_sha != commit_sha)
    if is_news or (known is not None and tested.passed):
        _record_base(project_id, commit_sha, tested, ignored=ignored)


@transactional
def _record_base(
    tx: Transaction, project_id: str, commit_sha: str, tested: Tested, *, ignored: Collection[str]
) -> None:
    project = tx.lock(Project, project_id)
    known = project.red_base
    if not is_red(tested, ignored):
        if known is not None and tested.passed:
            project.red_base = None
            tx.record(BaseTested(feed=project_id, project_id=project_id, commit_sha=commit_sha, is_red=False))
        return
    if project.test_command is None:
        return  # it was removed while they ran: a project without tests has no red default branch
    red = sorted(tested.report.red() - set(ignored))
    tests, reason = tuple(red[:MOST_NAMED]), tested.reason or "the tests failed"
    if known is None or known.commit_sha != commit_sha:
        now = tx.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        since = known.since if known is not None else now
        project.red_base = RedBase(commit_sha, since, reason, tests, (tested.log or "")[-LONGEST_LOG:])
    if known is None or not set(tests) <= set(known.tests):
        tx.record(BaseTested(feed=project_id, project_id=project_id, commit_sha=commit_sha, is_red=True, reason=reason))


def note_delivered(tx: Transaction, project_id: str, commit_sha: str) -> None:
    """The default branch is at a commit whose tests passed: it is not red any more. Safe to repeat."""
    project = tx.get(Project, project_id)
    if project.red_base is not None:
        project.red_base = None
        tx.record(BaseTested(feed=project_id, project_id=project_id, commit_sha=commit_sha, is_red=False))


@transactional
def have_base_tested_again(tx: Transaction, project_id: str, *, by: Caller) -> None:
    """Have the next proof or group test the red default branch again, as when an outage made it red.

    It stays red until then. Does nothing if it is not red.
    """
    by.require_in(tx, project_id, Role.MEMBER)
    project = tx.lock(Project, project_id)
    if project.red_base is None:
        return
    forget_red_commit(tx, project_id, project.red_base.commit_sha)
    state = project.state_
    tx.record(
        ProjectStatusChanged(
            feed=project_id, project_id=project_id, old_status=state, new_status=state, changed=("redBase",)
        )
    )  # fmt: skip
