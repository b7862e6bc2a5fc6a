"""Work that waits for a reviewer while the platform is off."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import update

from common.models import Job, Mark, TaskCheck
from common.settings import settings
from common.transaction import Transaction, transactional
from tests.workers.jobs.agent_reviews import Reviewing
from tests.workers.platform import Platform


@transactional
def _switch_off(tx: Transaction, minutes: float) -> None:
    """As if the other checks had passed so long ago, and no sweep had looked at the agents since."""
    at = tx.now() - timedelta(minutes=minutes)
    tx.session.execute(update(TaskCheck).where(TaskCheck.name != "agent_review").values(at=at))
    tx.session.execute(update(Mark).where(Mark.name == "listening").values(at=at))


@transactional
def _wait(tx: Transaction, minutes: float) -> None:
    """As if the platform had been on again for so long."""
    mark = tx.session.get_one(Mark, "listening")
    mark.value = {"since": (tx.now() - timedelta(minutes=minutes)).isoformat()}


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

    _switch_off(night)
    assert _look_again(about) == ("running", "no_agent")

    platform.expire()
    assert _look_again(about) == ("running", "no_agent")

    _wait(night)
    about.settle()
    assert about.verdict == ("skipped", None)
