"""What a group of more tasks costs: to make it, to merge it with real git, to show it, and to deliver it.

The group's tasks change a file each. Its jobs run here, as a worker runs them; what a runtime would do is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from flask.testing import FlaskClient
from sqlalchemy import delete, select, update

from common.announcer import announcer
from common.models import Deployment, Feed, Job, Project, Receipt, Task, TaskGroup
from common.names import new_id, short_id
from common.providers.forge import local_forge
from common.services.access import Caller
from common.services.delivery import merging, rollouts, task_groups
from common.services.delivery.receipt_contents import Served
from common.services.delivery.task_groups import NewGroup
from common.services.jobs import claim_job
from common.states import GroupState, TaskState
from common.transaction import Transaction, snapshot, transactional
from common.values.repository import Repository
from tests.bench.figures import Figure
from tests.bench.filled import insert_rows, project_row, task_row
from tests.bench.sizes_promised import STATEMENTS, Axis, Cost, Promise
from tests.providers.git_tree import WorkTree
from tests.sent_statements import statements
from workers.job import run_chain
from workers.jobs import delivery

SIZES = (1, 5, 10, 50)
FIRST_TASK = 20_000_000
"""The number of the first task: those below are others'."""
Result = TypeVar("Result")


def figures_of(where: str, client: FlaskClient, by: Caller, folder: Path, times: int, most: int) -> Iterator[Figure]:
    """The settings name the database. client, by: an administrator. folder: for a work tree."""
    axis = Axis("task", "tasks of a group", SIZES, where).upto(most)
    repeated = Delivery(client, by, folder, axis.sizes[-1])
    for size in axis.sizes:
        rounds = [repeated.measured(size) for _ in range(times + 1)][1:]
        for name, promise in COSTS.items():
            yield Cost(name, promise).at(axis, size, [one[name][0] for one in rounds])
            counted = Cost(f"{name}, statements", promise, STATEMENTS)
            yield counted.at(axis, size, [one[name][1] for one in rounds])
    repeated.remove()


COSTS = {
    "making a group": Promise.LINEAR,
    "merging a group": Promise.LINEAR,
    "page of a group": Promise.FLAT,
    "bringing a group to staging": Promise.LINEAR,
    "bringing a group to production": Promise.LINEAR,
}


class Delivery:
    """A project with a repository and approved tasks, which are grouped and delivered again and again."""

    def __init__(self, client: FlaskClient, by: Caller, folder: Path, tasks: int) -> None:
        self._client = client
        self._by = by
        self._project_id = new_id()
        name = f"delivered-{short_id(self._project_id)}"
        self._repository = Repository("aiworker", name, self._project_id)
        forge = local_forge()
        forge.ensure_repository(self._repository, default_branch="main", description="", import_url=None)
        tree = WorkTree(folder / f"clone-{self._project_id}", str(forge.repository_path(self._repository)))
        rows = []
        for number in range(tasks):
            row = task_row(FIRST_TASK + number, [self._project_id], TaskState.APPROVED)
            sha = tree.commit({f"part-{number}.txt": f"{number}\n"}, on=row["branch_name"], start="origin/main")
            rows.append({**row, "approved_sha": sha, "head_sha": sha})
        tree.push("--all")
        self._task_ids = [row["id"] for row in rows]
        own = {"name": name, "shown_name": name, "slug": name}
        _add(project_row(0, self._project_id) | own, rows)

    def measured(self, size: int) -> dict[str, tuple[float, int]]:
        """Take a group of this size to production. What each step cost: milliseconds and statements."""
        found: dict[str, tuple[float, int]] = {}

        def measure(name: str, act: Callable[[], Result]) -> Result:
            announcer().flush(60)
            with statements() as sent:
                began = time.perf_counter()
                result = act()
                found[name] = (time.perf_counter() - began) * 1000, len(sent)
            return result

        new = NewGroup(self._project_id, self._task_ids[:size])
        group = measure("making a group", lambda: task_groups.create_task_group(new, by=self._by).group)
        measure("merging a group", lambda: self._merge(group.id))
        measure("page of a group", lambda: self._show(group.id, size))
        measure("bringing a group to staging", lambda: self._stage(group.id))
        measure("bringing a group to production", lambda: self._produce(group.id))
        announcer().flush(60)
        _forget(self._project_id)
        return found

    def remove(self) -> None:
        """The database is as it was, but for events."""
        _remove(self._project_id)

    def _merge(self, group_id: str) -> None:
        """As a worker does that nobody else gives anything to do."""
        with snapshot() as read:
            job_id = read.session.scalars(select(Job.id).where(Job.subject_id == group_id)).one()
        while self._state(group_id) is not GroupState.MERGED:
            run_chain(job_id, delivery.merge_group, merging.fail_merge)

    def _state(self, group_id: str) -> GroupState:
        state = task_groups.read_task_group(group_id, by=self._by).group.state
        assert state in {GroupState.PENDING, GroupState.MERGING, GroupState.MERGED}, state
        return state

    def _show(self, group_id: str, size: int) -> None:
        reply = self._client.get(f"/api/task-groups/{group_id}")
        assert reply.status_code == 200, reply.get_data(as_text=True)
        assert len(reply.get_json()["taskGroup"]["taskIds"]) == size

    def _stage(self, group_id: str) -> None:
        _group, job = task_groups.deploy_to_staging(group_id, by=self._by)
        self._go_live(job.id)

    def _produce(self, group_id: str) -> None:
        head = local_forge().read_head(self._repository, "main")
        _group, job = task_groups.deploy_to_production(group_id, default_head=head, by=self._by)
        self._go_live(job.id)

    def _go_live(self, job_id: str) -> None:
        """As the job deployment.deploy does with a version that is healthy at once."""
        lease = claim_job(job_id)
        assert lease is not None
        assert rollouts.begin_rollout(lease) is not None
        rollouts.record_live(lease, url="http://localhost:1", served=Served("a" * 40))


@transactional
def _add(tx: Transaction, project: dict[str, Any], tasks: list[dict[str, Any]]) -> None:
    connection = tx.session.connection()
    insert_rows(connection, Project, [project])
    insert_rows(connection, Feed, [{"id": project["id"], "seq": 0}])
    insert_rows(connection, Task, tasks)


@transactional
def _forget(tx: Transaction, project_id: str) -> None:
    """The project was never delivered, and its tasks are approved."""
    for model in (Receipt, Deployment, TaskGroup):
        tx.session.execute(delete(model).where(model.project_id == project_id))
    tx.session.execute(delete(Job))
    approved = {"state_": TaskState.APPROVED, "phase_": None}
    tx.session.execute(update(Task).where(Task.project_id == project_id).values(approved))


@transactional
def _remove(tx: Transaction, project_id: str) -> None:
    tx.session.execute(delete(Task).where(Task.project_id == project_id))
    tx.session.execute(delete(Feed).where(Feed.id == project_id))
    tx.session.execute(delete(Project).where(Project.id == project_id))
