"""Deliveries, rollbacks, dying versions and old groups in any order: what was taken back never comes back unasked.

The oracle is git: what is in production is what the live commit's history holds.
"""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis.strategies as st
import pytest
from flask import Flask
from hypothesis import Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from common.models import Deployment, Task, TaskGroup
from tests.providers.git_work_tree import git
from tests.web.api.production_line import ProductionLine
from tests.web.world import World, all_of, forget_providers, get

pytestmark = pytest.mark.slow

HOW = st.sampled_from(["plain", "fix", "accepted"])


class Deliveries(RuleBasedStateMachine):
    """tasks: the delivered commits in order, each with its task. taken: versions that a rollback went past, and that
    nobody named since. waiting: a group on staging, made at some earlier moment.
    """

    world: World
    projects = 0

    def __init__(self) -> None:
        super().__init__()
        Deliveries.projects += 1
        self.line = ProductionLine(self.world, f"Line {Deliveries.projects}")
        self.tasks: dict[str, str] = {}
        self.taken: set[str] = set()
        self.waiting: tuple[str, str] | None = None

    def history(self, commit: str) -> set[str]:
        return set(git("rev-list", commit, at=self.line.path).split()) & set(self.tasks)

    def lost(self) -> set[str]:
        """What the default branch holds, but not production."""
        return set(self.tasks) - self.history(self.live)

    @property
    def live(self) -> str:
        return self.line.live().commit_sha

    @property
    def newest(self) -> str:
        return list(self.tasks)[-1]

    @initialize()
    def deliver_two(self) -> None:
        for _ in range(2):
            task_id = self.line.task()
            self.tasks[self.line.deliver(task_id).commit_sha] = task_id

    @rule(how=HOW)
    def deliver(self, how: str) -> None:
        task_id = self.line.task(labels=["fix"] if how == "fix" else [])
        body = {"projectId": self.line.project.id, "taskIds": [task_id], "targetBranch": "staging"}
        if self.lost() and how == "plain":
            assert self.world.client.post("/api/task-groups", json=body).status_code == 409
            return
        made = self.line.deliver(task_id, acceptRolledBack=how == "accepted")
        self.tasks[made.commit_sha] = task_id

    @precondition(lambda self: not self.lost())
    @rule()
    def leave_a_group_on_staging(self) -> None:
        task_id = self.line.task()
        self.waiting = (self.line.staged(task_id, acceptRolledBack=True), task_id)

    @precondition(lambda self: self.waiting is not None)
    @rule(is_accepted=st.booleans())
    def deliver_the_group_that_was_left(self, is_accepted: bool) -> None:
        assert self.waiting is not None
        group_id, task_id = self.waiting
        group: TaskGroup = get(TaskGroup, group_id)
        if group.state != "staging":
            return
        staging: list[Deployment] = all_of(Deployment, Deployment.live_key == f"{self.line.project.id}:staging")
        is_there = group.base_sha == self.newest and staging[0].commit_sha == group.tested_sha
        brings_back = bool(self.history(group.tested_sha) & self.lost())
        reply = self.line.act(group_id, "deploy-production", **({"acceptRolledBack": True} if is_accepted else {}))
        if is_there and (is_accepted or not brings_back):
            assert reply.status_code == 202, reply.json
            self.tasks[self.line.go_live(self.line.under_way().id).commit_sha] = task_id
        else:
            assert reply.status_code == 409
            assert brings_back <= (reply.json["details"]["field"] == "acceptRolledBack" or is_accepted)

    def expected_target(self) -> str | None:
        good = [commit for commit in self.tasks if commit not in self.taken and commit != self.live]
        return good[-1] if good else None

    def went_back(self, target: str) -> None:
        self.taken |= set(self.tasks) - self.history(target)
        self.taken.discard(target)

    @rule()
    def roll_back(self) -> None:
        expected, reply = self.expected_target(), self.line.ask_back()
        assert (reply.status_code == 202) == (expected is not None)
        if expected is not None:
            assert self.line.go_live(reply.json["rollbackDeploymentId"]).commit_sha == expected
            self.went_back(expected)

    @rule()
    def die(self) -> None:
        expected, made = self.expected_target(), self.line.die()
        assert (made.commit_sha if made else None) == expected
        if expected is not None:
            self.went_back(expected)

    @rule(at=st.integers(0, 20))
    def roll_to(self, at: int) -> None:
        """Back or forth, to a version that a person names."""
        commit = list(self.tasks)[at % len(self.tasks)]
        if commit != self.live:
            delivered = (Deployment.commit_sha == commit, Deployment.environment_ == "production")
            (target,) = all_of(Deployment, *delivered, Deployment.rollback_of.is_(None))
            assert self.line.roll_back(to=target).commit_sha == commit
            self.went_back(commit)

    @invariant()
    def tasks_say_what_production_has(self) -> None:
        if self.tasks:
            rows = {row.id: row for row in all_of(Task, Task.id.in_(self.tasks.values()))}
            marked = {commit for commit, task_id in self.tasks.items() if rows[task_id].rolled_back_at is not None}
            assert marked == self.lost()


@pytest.fixture
def machine(plain_app: Flask) -> Iterator[type[Deliveries]]:
    Deliveries.world = World(plain_app)
    yield Deliveries
    forget_providers()


def test_what_was_taken_back_comes_back_only_when_somebody_says_so(machine: type[Deliveries]) -> None:
    # Twelve steps can be read as they are; making them fewer would take minutes.
    few = settings(
        max_examples=8,
        stateful_step_count=12,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
    )
    run_state_machine_as_test(machine, settings=few)
