"""Work that waits for a reviewer while the platform is off."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from common.models import Job, TaskCheck
from common.settings import settings
from common.transaction import Transaction, transactional
from tests.workers.jobs.agent_reviews import Reviewing
from tests.workers.nights import switch_off, switch_on
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow


@transactional
def _pass_earlier(tx: Transaction, minutes: float) -> None:
    """As if the other checks had passed so long ago."""
    at = tx.now() - timedelta(minutes=minutes)
    tx.session.execute(update(TaskCheck).where(TaskCheck.name != "agent_review").values(at=at))


def _look_again(about: Reviewing) -> tuple[str, str | None]:
    """What the proof says after its next look."""

    def looks() -> int:
        return sum(job.fence for job in about.platform.all(Job, Job.subject_id == about.work.run.id))

    before = looks()
    about.until(lambda: looks() > before)
    return about.verdict


def test_the_time_in_which_the_platform_was_off_is_no_wait_for_a_reviewer(platform: Platform) -> None:
    about = Reviewing(platform, has_reviewer=False)
    about.until(about.is_waiting)
    platform.expire()
    night = settings().work.review_minutes + 1

    _pass_earlier(night)
    switch_off(night)
    assert _look_again(about) == ("running", "no_agent")

    platform.expire()
    assert _look_again(about) == ("running", "no_agent")

    switch_on(night)
    about.settle()
    assert about.verdict == ("skipped", None)
