"""What a task leaves at the forge and in the runtime when it is over, also if the forge refuses or is in between."""

from __future__ import annotations

from common.jobs import CLEAN_UP_TASK
from common.models import Deployment, Job, Task
from common.providers.forge import local_forge
from common.services.tasks import tasks
from tests.workers.platform import PAGE, Platform


def _live_previews(platform: Platform, task: Task) -> list[Deployment]:
    return platform.all(Deployment, Deployment.task_id == task.id, Deployment.live_key.is_not(None))


def _cleaning(platform: Platform) -> Job:
    (job,) = platform.all(Job, Job.kind == CLEAN_UP_TASK.name)
    return job


def test_a_preview_goes_though_the_forge_refuses_to_close_the_pull_request(platform: Platform) -> None:
    project = platform.project()
    task = platform.ready(project, "Greet", {"a": "a"})
    assert len(_live_previews(platform, task)) == 1

    with platform.without_repository(project):
        tasks.cancel_task(task.id, by=platform.max)
        platform.run_jobs()

    assert _live_previews(platform, task) == []
    assert (platform.get(Task, task.id).preview_url, _cleaning(platform).state) == (None, "failed")


def test_a_pull_request_that_a_person_removed_is_nothing_to_close(platform: Platform) -> None:
    project = platform.project()
    task = platform.ready(project, "Greet", {"a": "a"})
    path = local_forge().repository_path(platform.repository(project.id))
    (path / "aiworker" / "pulls.json").unlink()

    tasks.cancel_task(task.id, by=platform.max)
    platform.run_jobs()

    assert (_live_previews(platform, task), _cleaning(platform).state) == ([], "done")


def test_a_delivery_is_finished_without_the_pull_request_that_a_person_removed(plain_platform: Platform) -> None:
    project = plain_platform.project()
    group = plain_platform.staged(plain_platform.approved(project, "Greet", {"a": "a", **PAGE}))
    path = local_forge().repository_path(plain_platform.repository(project.id))
    (path / "aiworker" / "pulls.json").unlink()

    group = plain_platform.to_production(group)

    assert (group.state, group.error) == ("production", None)
