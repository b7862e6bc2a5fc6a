"""What happens without anybody's wish: jobs in any order, sweeps, time that passes, and pushes past the platform."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

from sqlalchemy import select, update

from common.database.engines import UtcDateTime
from common.models import Job, Mark, Task
from common.models.base import Base
from common.services.activity import jobs as rows
from common.transaction import Transaction, snapshot, transactional
from tests.sequences.stage import Act, Stage
from workers import sweeps

KILLED = "killed between act and record"
KEPT_TIMES = {"events", "audit_seals"}
"""Tables whose rows never change."""


def do_a_job(stage: Stage) -> None:
    stage.run_job(stage.one(stage.platform.due()))


def do_due_jobs(stage: Stage) -> None:
    take_over_leases(stage)
    due = stage.platform.due()
    stage.random.shuffle(due)
    for job in due:
        stage.run_job(job)


def die_in_a_job(stage: Stage) -> None:
    """A worker is killed between what a job does and the record of it."""
    job = stage.one(stage.platform.due())
    stage.tell("its worker dies before the record:")

    spared: list[str] = []

    def dying(method: Callable[..., Any]) -> Callable[..., Any]:
        def record(*arguments: Any, **named: Any) -> Any:
            if not spared:
                spared.append(job.id)
                raise RuntimeError(KILLED)
            return method(*arguments, **named)

        return record

    with mock.patch.multiple(Transaction, finish=dying(Transaction.finish), again=dying(Transaction.again)):
        stage.run_job(job)


def lose_a_worker(stage: Stage) -> None:
    """It has claimed a job, and is never heard of again."""
    job = stage.one(stage.platform.due())
    stage.tell(f"a worker dies with {job.kind} of {job.subject_id}")
    rows.claim_job(job.id)


def restart_the_machine(stage: Stage) -> None:
    """Nothing that the platform started runs any more; then the supervisor is back."""
    stage.tell("the supervisor dies and starts again")
    stage.platform.supervisor.kill()
    stage.platform.supervisor.start_again()


def work_quietly(stage: Stage) -> None:
    """Everything that is to be done without people and agents is done."""
    stage.tell("jobs until quiet")
    settle(stage)


def settle(stage: Stage) -> None:
    """Run jobs until none is left."""
    take_over_leases(stage)
    stage.platform.run_jobs(until=lambda: not stage.all(Job, Job.state_ == "queued"))


def take_over_leases(stage: Stage) -> None:
    """Another worker does what dead ones had claimed, once their leases are over."""
    with snapshot() as read:
        now = read.now()
    for job in stage.all(Job, Job.state_ == "running", Job.lease_until < now):
        stage.run_job(job)


def sweep(stage: Stage) -> None:
    which = stage.one([sweeps.sweep, sweeps.sweep_agents, sweeps.sweep_slowly])
    stage.tell(which.__name__)
    which()


def pass_time(stage: Stage) -> None:
    """Minutes or hours. The platform ran meanwhile, or was down."""
    seconds = stage.one([10, 40, 70, 70, 300, 3600, 5 * 3600])
    was_down = stage.perhaps(0.2)
    stage.tell(f"{seconds} seconds pass{', while the platform is down' if was_down else ''}")
    shift(seconds, {Mark.__tablename__} if not was_down else set())


def push_to_task(stage: Stage) -> None:
    """A person pushes to a task's branch."""
    task = stage.one(stage.all(Task, Task.head_sha.is_not(None)))
    project = stage.one(one for one in stage.projects() if one.id == task.project_id and one.state_ == "active")
    sha = stage.push(project, task.branch_name, {"late.txt": f"{stage.number()}\n"})
    stage.tell(f"somebody pushes to {task.branch_name}: {sha}")


def push_to_default(stage: Stage) -> None:
    project = stage.one(one for one in stage.projects() if one.state_ == "active")
    sha = stage.push(project, project.default_branch, {f"own-{stage.number()}.txt": "1\n"})
    stage.tell(f"somebody pushes to {project.default_branch}: {sha}")


@transactional
def shift(tx: Transaction, seconds: float, spared: set[str]) -> None:
    """As if all that is stored had been so much earlier."""
    by = timedelta(seconds=seconds)
    listening = tx.session.get(Mark, "listening")
    if listening is not None and listening.value.get("since"):
        since = datetime.fromisoformat(str(listening.value["since"])) - by
        listening.value = {**listening.value, "since": since.isoformat()}
        tx.session.flush()
    for table in Base.metadata.sorted_tables:
        columns = [column for column in table.columns if isinstance(column.type, UtcDateTime)]
        if not columns or table.name in KEPT_TIMES | spared:
            continue
        keys = list(table.primary_key.columns)
        for row in tx.session.execute(select(*keys, *columns)).all():
            key, times = row[: len(keys)], row[len(keys) :]
            values: dict[Any, datetime] = {
                column: time - by for column, time in zip(columns, times, strict=True) if time is not None
            }
            if values:
                is_row = [column == value for column, value in zip(keys, key, strict=True)]
                tx.session.execute(update(table).where(*is_row).values({c.name: v for c, v in values.items()}))


ACTS: dict[Act, int] = {
    do_a_job: 14, die_in_a_job: 3, lose_a_worker: 1,
    do_due_jobs: 16, work_quietly: 12, sweep: 8, pass_time: 3, restart_the_machine: 1,
    push_to_task: 2, push_to_default: 1,
}  # fmt: skip
"""Each with its weight."""
