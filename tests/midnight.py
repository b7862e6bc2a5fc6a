"""What is counted for each day begins anew at midnight (UTC): that may not fall into a test of such a count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.e2e.instance import wait_until

LONGEST_TEST = timedelta(seconds=60)


def avoid_midnight() -> None:
    """From now on the day (UTC) lasts for a minute at least: shortly before its end, wait for the next one."""
    now = datetime.now(UTC)
    if (now + LONGEST_TEST).date() != now.date():
        wait_until("the next day", lambda: datetime.now(UTC).date() != now.date())
