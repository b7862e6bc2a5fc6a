"""What depends on a cancelled task never goes on: it says so, and what a person can do."""

from __future__ import annotations

import pytest

from common.models import EventRow, Task
from common.services.tasks import tasks
from tests.workers.platform import Platform
from workers import sweeps

pytestmark = pytest.mark.slow


def _error(title: str) -> str:
    return (
        f"It depends on task '{title}', which is cancelled, so no agent begins it: "
        "take this dependency away, or cancel it, too."
    )


def _errors(platform: Platform, *made: Task) -> list[str | None]:
    return [platform.get(Task, task.id).error for task in made]


def test_waiting_tasks_say_that_what_they_depend_on_is_cancelled(platform: Platform) -> None:
    project = platform.project()
    needed, other = platform.task(project, "Needed 50%"), platform.task(project, "Other")
    waiting = platform.task(project, "Waiting", depends_on=[needed.id])
    over = platform.task(project, "Over", depends_on=[needed.id])
    free = platform.task(project, "Free", depends_on=[other.id])
    tasks.cancel_task(over.id, by=platform.max)
    tasks.cancel_task(needed.id, by=platform.max)
    for _twice in range(2):
        platform.run_jobs()
        sweeps.sweep_slowly()

        assert _errors(platform, waiting, over, free) == [_error("Needed 50%"), None, None]
    told = platform.all(EventRow, EventRow.name == "task:updated", EventRow.task_id == waiting.id)
    assert len(told) == 1
