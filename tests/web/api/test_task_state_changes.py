"""What the state changes of a task set beside its state: counters, phase, approval and who works on it."""

from __future__ import annotations

from typing import Any

import pytest

from common.models import Run, Task
from common.services.lifecycle import task_states
from common.services.lifecycle.task_states import MOST_ATTEMPTS
from common.services.runs import run_end
from common.transaction import Transaction, transactional
from common.values.states import By, Phase, RunState, TaskState
from tests.web.api.questioning_run import QuestioningRun
from tests.web.world import World, get, put


@transactional
def change(tx: Transaction, task_id: str, step: str, *arguments: Any, **options: Any) -> None:
    getattr(task_states, step)(tx, tx.lock(Task, task_id), *arguments, **options)


def task_in(world: World, **values: Any) -> str:
    """A task of a project of its own with these columns."""
    task_id: str = world.task(world.project()).id
    put(Task, task_id, **values)
    return task_id


def at_work(world: World, **values: Any) -> str:
    return task_in(world, **{"state_": TaskState.IN_PROGRESS, "phase_": Phase.WORKING, **values})


def columns(task_id: str, *names: str) -> tuple[Any, ...]:
    task = get(Task, task_id)
    return tuple(getattr(task, name) for name in names)


def test_the_proof_begins_with_no_counter_of_failures(plain_world: World) -> None:
    task_id = at_work(plain_world, attempts=2, losses=3, error="its agent was lost")
    change(task_id, "begin_proof", "run_1")
    assert columns(task_id, "phase_", "attempts", "losses", "error") == (Phase.VERIFYING, 0, 0, None)


def test_a_held_task_neither_waits_for_an_answer_nor_goes_back_to_the_backlog(plain_world: World) -> None:
    task_id = at_work(plain_world, phase_=Phase.HELD, held_by="ada")
    change(task_id, "wait_for_answer")
    change(task_id, "requeue", reason="its agent was lost", counts=True)
    assert columns(task_id, "state_", "phase_", "attempts") == (TaskState.IN_PROGRESS, Phase.HELD, 0)


@pytest.mark.parametrize(
    ("lost", "state"), [(MOST_ATTEMPTS - 2, TaskState.BACKLOG), (MOST_ATTEMPTS - 1, TaskState.FAILED)]
)
def test_a_task_is_given_up_after_its_last_attempt(plain_world: World, lost: int, state: TaskState) -> None:
    task_id = at_work(plain_world, attempts=lost)
    change(task_id, "requeue", reason="its agent was lost", counts=True)
    assert columns(task_id, "state_", "attempts") == (state, lost + 1)


def test_work_that_is_sent_back_loses_its_approval_and_its_counters(plain_world: World) -> None:
    task_id = task_in(
        plain_world, state_=TaskState.APPROVED, approved_sha="a" * 40, approved_by="ada", refusals=2, attempts=1
    )
    change(task_id, "send_back", by=By.PLATFORM)
    assert columns(task_id, "state_", "phase_", "round", "refusals", "attempts", "approved_sha", "approved_by") == (
        TaskState.IN_PROGRESS, Phase.QUEUED, 2, 0, 0, None, None,
    )  # fmt: skip


def test_only_a_live_review_ends_with_the_proof(plain_world: World) -> None:
    asking = QuestioningRun(plain_world)
    run_id = asking.claimed["run"]["id"]

    @transactional
    def end_review(tx: Transaction) -> None:
        tx.lock(Task, asking.task_id)
        run_end.end_review(tx, asking.task_id, "its proof has ended")

    end_review()
    assert get(Run, run_id).state is RunState.RUNNING


@pytest.mark.parametrize("state", [TaskState.NEEDS_INPUT, TaskState.FAILED, TaskState.IN_PROGRESS, TaskState.STAGING])
def test_only_verified_work_is_approved(plain_world: World, state: TaskState) -> None:
    task_id = task_in(plain_world, state_=state, head_sha="a" * 40)
    reply = plain_world.client.post(f"/api/tasks/{task_id}/approve", json={})
    assert (reply.status_code, get(Task, task_id).state) == (409, state)
    assert "only ready_to_test can be approved" in reply.get_data(as_text=True)
