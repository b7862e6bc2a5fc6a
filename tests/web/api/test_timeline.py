"""The timeline of a task that much has happened to: the newest first, and all of it for who asks for more."""

from __future__ import annotations

from common.events.catalogue import TaskUpdated
from common.models import Task
from common.transaction import Transaction, transactional
from tests.web.world import World


@transactional
def change(tx: Transaction, task: Task, times: int, *fields: str) -> None:
    """As if that many people had changed these fields of the task."""
    for _ in range(times):
        tx.record(TaskUpdated(feed=task.project_id, subject_task_id=task.id, task_id=task.id, changed=fields))


def test_the_newest_events_of_a_task_are_read_first_and_the_others_before_them(world: World) -> None:
    project = world.project()
    task, other = world.task(project), world.task(project)
    change(task, 5, "notes")
    change(other, 1, "notes")
    path = f"/api/tasks/{task.id}/events"
    oldest = [one["seq"] for one in world.client.get(path).json["events"]]

    first = world.client.get(path, query_string={"order": "newest", "limit": 4}).json
    rest = world.client.get(path, query_string={"order": "newest", "beforeSeq": first["lastSeq"]}).json

    assert [one["seq"] for one in [*first["events"], *rest["events"]]] == oldest[::-1]
    assert len(first["events"]) == 4
    assert rest["events"][-1]["event"] == "task:created"
    assert world.client.get(path, query_string={"order": "latest"}).status_code == 400
