"""Every transition table, walked edge by edge: what has a state moves along its edges and nowhere else."""

from __future__ import annotations

import itertools
from enum import StrEnum
from typing import Any

import pytest

from common.errors import IllegalTransition
from common.models import Agent, Base, Deployment, Job, Project, Run, Task, TaskGroup
from common.models.base import HasState
from common.values.states import (
    AgentState,
    By,
    DeploymentState,
    GroupState,
    JobState,
    Phase,
    ProjectState,
    RunState,
    TaskState,
)

FIRST_STATES: dict[type[Any], StrEnum] = {
    Project: ProjectState.PROVISIONING,
    Task: TaskState.BACKLOG,
    Run: RunState.PREPARING,
    Agent: AgentState.STARTING,
    TaskGroup: GroupState.PENDING,
    Deployment: DeploymentState.PENDING,
    Job: JobState.QUEUED,
}
"""Each model that has a state, and the state in which its rows begin."""

LAST_STATES: dict[type[Any], set[StrEnum]] = {
    Project: {ProjectState.DELETING},
    Task: {TaskState.PRODUCTION, TaskState.CANCELLED},
    Run: {RunState.ENDED},
    Agent: set(),
    TaskGroup: {GroupState.PRODUCTION, GroupState.CONFLICT, GroupState.CANCELLED},
    Deployment: {DeploymentState.FAILED, DeploymentState.ROLLED_BACK, DeploymentState.SUPERSEDED},
    Job: {JobState.DONE, JobState.CANCELLED},
}
"""The states that rows never leave."""

UNREACHED: dict[type[Any], set[StrEnum]] = {Job: {JobState.CANCELLED}}
"""Named by the API, and no edge leads there."""


def _pairs(model: type[Any]) -> list[tuple[StrEnum, StrEnum, By]]:
    """Every change of state that can be asked for, and in whose name."""
    return list(itertools.product(model.state_type, model.state_type, By))


def _row(model: type[Any], state: StrEnum) -> Any:
    columns = {Deployment: {"app_name": "preview", "environment_": "preview"}, TaskGroup: {"name": "x"}}
    return model(id="x", state_=state, **columns.get(model, {}))


def _move(row: Any, new: StrEnum, by: By) -> None:
    """As the platform moves it: `move_to` where the model has one, which also keeps what goes with the state."""
    if isinstance(row, Job):
        row.change_state(new, by)
    elif new is TaskState.IN_PROGRESS:
        row.move_to(new, by, phase=Phase.QUEUED)
    else:
        row.move_to(new, by)


def test_every_model_with_a_state_is_walked_here() -> None:
    models = {mapper.class_ for mapper in Base.registry.mappers if issubclass(mapper.class_, HasState)}
    assert set(FIRST_STATES) == set(LAST_STATES) == models


@pytest.mark.parametrize("model", FIRST_STATES)
def test_a_row_moves_along_its_edges_and_nowhere_else(model: type[Any]) -> None:
    for old, new, by in _pairs(model):
        row = _row(model, old)
        if by in model.edges.get((old, new), frozenset()):
            assert row.may_move_to(new, by)
            _move(row, new, by)
            assert row.state is new
        else:
            assert not row.may_move_to(new, by)
            with pytest.raises(IllegalTransition, match=f"x is {old}; it can't become {new} now"):
                _move(row, new, by)
            assert row.state is old


@pytest.mark.parametrize("model", FIRST_STATES)
def test_every_state_is_reached_from_the_first(model: type[Any]) -> None:
    reached, fresh = set(), {FIRST_STATES[model]}
    while fresh:
        reached |= fresh
        fresh = {new for old, new in model.edges if old in reached} - reached
    assert set(model.state_type) - reached == UNREACHED.get(model, set())


@pytest.mark.parametrize("model", FIRST_STATES)
def test_only_the_last_states_are_never_left(model: type[Any]) -> None:
    assert {state for state in model.state_type if all(old is not state for old, _new in model.edges)} == (
        LAST_STATES[model]
    )
