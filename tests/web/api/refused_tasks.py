"""Work whose proof the platform refused."""

from __future__ import annotations

from typing import Any

from common.models import Run, Task, TaskCheck
from common.transaction import Transaction, transactional
from common.values.names import new_id
from tests.web.world import SHA, World, put


def refused_task(world: World, **check: Any) -> Task:
    """A task at work again, as this check of its newest run failed."""
    task: Task = world.task(world.project(), state="in_progress")
    put(Task, task.id, phase_="queued", round=2, refusals=1)
    _refuse(task.id, task.project_id, check)
    return task


@transactional
def _refuse(tx: Transaction, task_id: str, project_id: str, check: dict[str, Any]) -> None:
    run = Run(
        id=f"run-{task_id}"[:40], task_id=task_id, project_id=project_id, agent_id="agent-1", round=1, usage={},
        state_="ended", outcome="completed", claimed_sha=SHA, token_digest=task_id, created_at=tx.now(),
        seen_at=tx.now(), finished_at=tx.now(),
    )  # fmt: skip
    tx.add(run)
    about = {"id": new_id(), "task_id": task_id, "run_id": run.id, "commit_sha": SHA, "at": tx.now()}
    tx.add(TaskCheck(status="failed", **about, **check))
