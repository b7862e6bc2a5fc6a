"""A person has another driver go on with a task."""

from __future__ import annotations

import pytest

from common.services.agent_api import agent_sessions
from common.services.tasks import tasks
from common.values.states import TaskState
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow


def test_another_driver_goes_on_with_the_branch_and_is_told_everything(platform: Platform) -> None:
    project = platform.project()
    first, second = platform.agent(driver="scripted"), platform.agent(driver="command")
    task = platform.task(project, driver="scripted", description="Greet the people.")
    platform.agent_id = first
    begun = platform.claim()
    agent_sessions.save_session(begun.run.id, b"kept")
    sha = platform.push(begun, {"greeting": "hi\n"})
    platform.finish(begun, sha)
    platform.run_jobs()
    tasks.update_task(task.id, {"driver": "command"}, by=platform.max)
    tasks.reject_task(task.id, reason="More warmly", comments=[], by=platform.max)

    platform.agent_id = second
    claimed = platform.claim()

    assert (claimed.driver, claimed.session_driver, claimed.has_session) == ("command", "scripted", False)
    assert all(part in claimed.prompt for part in ("Greet the people.", "More warmly"))
    better = platform.push(claimed, {"greeting": "hello\n"})
    platform.finish(claimed, better)
    platform.run_jobs()
    reviewed = platform.get(type(task), task.id)
    assert (reviewed.state, reviewed.head_sha) == (TaskState.READY_TO_TEST, better)
