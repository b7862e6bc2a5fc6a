"""What is known of a project's tests beyond single commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from common.models.delivery import FlakyTest
from common.services.proof.auto_quarantine import RuleStatus, rule_status_of
from common.services.proof.flaky_tests import ShownTest, is_quarantined, shown
from common.services.requests.access import Caller
from common.transaction import snapshot
from common.values.states import Role
from common.values.testing.red_base import RedBase


@dataclass(frozen=True)
class TestsOfProject:
    """red_base: see Project. flaky: those in quarantine first, then the one seen last. auto_quarantine: None: the
    project has no rule."""

    __test__ = False

    red_base: RedBase | None
    most_quarantined: int
    auto_quarantine: RuleStatus | None
    flaky: Sequence[ShownTest]


def read_tests(project_id: str, *, by: Caller) -> TestsOfProject:
    """What is known of the project's tests beyond single commits."""
    with snapshot() as read:
        project = by.require_in(read, project_id, Role.VIEWER)
        now = read.now()
        rows = read.all(select(FlakyTest).where(FlakyTest.project_id == project_id))
        rule = rule_status_of(read, project)
    order = sorted(rows, key=lambda row: row.last_at.timestamp() if row.last_at else 0.0, reverse=True)
    order.sort(key=lambda row: not is_quarantined(row, now))
    return TestsOfProject(project.red_base, project.most_quarantined, rule, [shown(row, now) for row in order])
