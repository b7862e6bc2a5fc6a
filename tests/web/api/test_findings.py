"""What the scans of a task's proof found, and what a maintainer lets go of it over HTTP."""

from __future__ import annotations

from common.models import Run, Task, TaskCheck
from common.names import new_id
from common.transaction import Transaction, transactional
from tests.web.world import SHA, World, events, get, put

NAMES = ["AWS Access Key 0a1b2c3d4e", "Private Key 99887766aa"]
LOG = f"{NAMES[0]}: app.py, line 3\n{NAMES[0]}: old/app.py, line 3\n{NAMES[1]}: id_rsa: of max, line 1"
PATH = "/api/tasks/{}/accept-findings"


@transactional
def _refuse(tx: Transaction, task_id: str, project_id: str) -> None:
    run = Run(
        id=f"run-{task_id}"[:40], task_id=task_id, project_id=project_id, agent_id="agent-1", round=1, usage={},
        state_="ended", outcome="completed", claimed_sha=SHA, token_digest=task_id,
        created_at=tx.now(), seen_at=tx.now(),
    )  # fmt: skip
    tx.add(run)
    tx.add(
        TaskCheck(
            id=new_id(), task_id=task_id, run_id=run.id, commit_sha=SHA, name="secrets", status="failed",
            code="secrets_found", message="2 secrets were found: app.py", log=LOG, facts={"found": 2}, at=tx.now(),
        )
    )  # fmt: skip


def refused(world: World) -> Task:
    """A task whose newest run was refused for two secrets."""
    task = world.task(world.project(), state="in_progress")
    put(Task, task.id, phase_="queued", round=2, refusals=1)
    _refuse(task.id, task.project_id)
    return task


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
