"""What the scans of a task's proof found, and what a maintainer lets go of it over HTTP."""

from __future__ import annotations

from common.models import Task
from tests.web.api.refused_tasks import refused_task
from tests.web.world import World, events, get

NAMES = ["AWS Access Key 0a1b2c3d4e", "Private Key 99887766aa"]
LOG = f"{NAMES[0]}: app.py, line 3\n{NAMES[0]}: old/app.py, line 3\n{NAMES[1]}: id_rsa: of max, line 1"
PATH = "/api/tasks/{}/accept-findings"


def refused(world: World) -> Task:
    """A task whose newest run was refused for two secrets."""
    about = {"name": "secrets", "code": "secrets_found", "message": "2 secrets were found: app.py"}
    return refused_task(world, log=LOG, facts={"found": 2}, **about)


def test_letting_all_findings_go_proves_the_commit_again(world: World) -> None:
    task = refused(world)
    path = PATH.format(task.id)
    strange = world.client.post(path, json={"names": ["AWS Access Key 0000000000"]})
    wrong = [
        world.client.post(path, json=body) for body in ({"names": []}, {"names": [1]}, {}, {"names": NAMES, "a": 1})
    ]
    half = world.client.post(path, json={"names": NAMES[:1]})
    assert (strange.status_code, strange.json["details"]["field"]) == (400, "names")
    assert [said.status_code for said in wrong] == [400] * 4
    assert (half.status_code, get(Task, task.id).phase) == (200, "queued")

    done = world.client.post(path, json={"names": NAMES[1:]})

    assert done.status_code == 200, done.data
    after = get(Task, task.id)
    assert (after.phase, after.round, after.refusals, after.accepted_findings) == ("verifying", 1, 0, NAMES)
    assert world.client.post(path, json={"names": NAMES}).status_code == 200
    assert any("acceptedFindings" in event.data for event in events("task:updated"))


def test_a_task_without_findings_has_none_to_let_go(world: World) -> None:
    task = world.task(world.project(), state="ready_to_test")

    assert world.client.post(PATH.format(task.id), json={"names": NAMES}).status_code == 409
