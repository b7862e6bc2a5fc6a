"""A group as a release at the API: its contents against production, its plan, versions, and health over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from common.models import GroupTest, HealthSpan, TaskGroup
from common.services.delivery.changelog import Entry, write_changelog
from common.services.delivery.test_run_log import purge_tests
from common.services.deployment import health_history
from common.transaction import Transaction, transactional
from common.values.delivery.health_check import HealthObservation, HealthState
from common.values.states import Environment, Role
from tests.providers.git_work_tree import git
from tests.web import factories
from tests.web.api.production_line import ProductionLine
from tests.web.world import World, all_of, forget_providers, get, put


@pytest.fixture
def line(app: Flask) -> Iterator[ProductionLine]:
    yield ProductionLine(World(app))
    forget_providers()


def read(line: ProductionLine, path: str) -> Any:
    reply = line.world.client.get(f"/api{path}")
    assert reply.status_code == 200, reply.json
    return reply.json


def plan_of(line: ProductionLine, group_id: str) -> dict[str, Any]:
    """Environment → its plan."""
    plan = read(line, f"/task-groups/{group_id}/plan")["plan"]
    return {each["environment"]: each for each in plan["environments"]}


def missing(plan: dict[str, Any]) -> list[str]:
    return [each["kind"] for each in plan["missing"]]


@pytest.mark.slow
def test_a_plan_says_what_is_still_missing_at_each_step(line: ProductionLine) -> None:
    line.deliver()
    before = line.deliver()
    group_id = line.merged()
    plans = plan_of(line, group_id)
    assert (missing(plans["staging"]), missing(plans["production"])) == ([], ["not_staged"])
    assert (plans["staging"]["version"], plans["staging"]["commitCount"]) == (3, 1)
    assert line.act(group_id, "deploy-staging").status_code == 202
    assert missing(plan_of(line, group_id)["staging"]) == ["under_way"]
    line.go_live(line.under_way(Environment.STAGING).id)

    (plan,) = plan_of(line, group_id).values()

    assert (plan["environment"], missing(plan), plan["accepts"]) == ("production", [], None)
    assert (plan["live"]["version"], plan["version"], plan["commitCount"]) == (2, 3, 1)
    assert plan["commitSha"] == get(TaskGroup, group_id).tested_sha
    viewer = line.world.client_of("vera", Role.VIEWER).get(f"/api/task-groups/{group_id}/plan").json["plan"]
    assert (viewer["mayAct"], viewer["taskCount"], len(viewer["environments"])) == (False, 1, 1)
    newer = get(TaskGroup, line.merged()).tested_sha
    git("update-ref", f"refs/heads/{line.project.default_branch}", newer, at=line.path)
    assert missing(plan_of(line, group_id)["production"]) == ["moved"]
    git("update-ref", f"refs/heads/{line.project.default_branch}", before.commit_sha, at=line.path)
    line.staged()
    assert missing(plan_of(line, group_id)["production"]) == ["other_version"]


def test_a_train_shows_what_was_taken_out_and_a_log_of_another_group_is_a_404(line: ProductionLine) -> None:
    first, second = line.task("One"), line.task("Two")
    group_id, other = line.merged(first, second), line.merged()
    assert line.act(group_id, "remove", taskId=second).status_code == 200
    test_id = factories.a_group_test(group_id, position=1, task_id=first, log="said red").id

    train = read(line, f"/task-groups/{group_id}/train")["train"]

    assert [(one["taskId"], one["title"], one["removedReason"]) for one in train["tasks"]] == [
        (first, "One", None), (second, "Two", "removed"),
    ]  # fmt: skip
    assert [(one["state"], one["laterPush"], one["rolledBackAt"]) for one in train["tasks"]] == [
        ("approved", None, None)
    ] * 2
    assert (train["step"], train["attempt"]) == ({"step": "start", "taskId": None, "position": None, "run": None}, 2)
    assert [(one["id"], "log" in one) for one in train["tests"]] == [(test_id, False)]
    shown = read(line, f"/task-groups/{group_id}/tests/{test_id}")["test"]
    assert (shown["log"], shown["taskId"], shown["passed"]) == ("said red", first, False)
    for path in (f"{other}/tests/{test_id}", f"{group_id}/tests/{factories.MISSING_ID}"):
        assert line.world.client.get(f"/api/task-groups/{path}").status_code == 404
    purge_tests()
    assert len(read(line, f"/task-groups/{group_id}/train")["train"]["tests"]) == 1
    put(GroupTest, test_id, at=datetime.now(UTC) - timedelta(days=91))
    purge_tests()
    assert read(line, f"/task-groups/{group_id}/train")["train"]["tests"] == []


@transactional
def look(tx: Transaction, *looks: HealthObservation) -> None:
    health_history.record_health(tx, looks)


def spans(line: ProductionLine) -> list[Any]:
    shown = read(line, f"/projects/{line.project.id}/environments")["environments"]
    assert [one["environment"] for one in shown] == ["production", "staging"]
    health: list[Any] = shown[0]["health"]
    return health


def _seen_before(minutes: float) -> None:
    """Every span so far was seen that much earlier."""
    for span in all_of(HealthSpan):
        earlier = timedelta(minutes=minutes)
        put(HealthSpan, span.id, since=span.since - earlier, until=span.until - earlier)


def test_looks_become_spans_of_health_with_gaps_where_nobody_looked(line: ProductionLine) -> None:
    live = line.deliver()
    preview = line.world.deployment(line.project, Environment.PREVIEW)
    look(HealthObservation(live.id, HealthState.HEALTHY), HealthObservation(preview, HealthState.HEALTHY))
    _seen_before(1)
    look(HealthObservation(live.id, HealthState.HEALTHY))
    (span,) = spans(line)
    assert (span["state"], span["deploymentId"], span["reason"]) == ("healthy", live.id, None)
    assert span["until"] > span["since"]

    look(HealthObservation(live.id, HealthState.FAILING, 3, "it answered GET / with 500"))
    healthy, failing = spans(line)
    assert healthy["until"] == failing["since"]
    assert (failing["state"], failing["restarts"], failing["reason"]) == ("failing", 3, "it answered GET / with 500")

    _seen_before(10)
    look(HealthObservation(live.id, HealthState.FAILING, 3, "it answered GET / with 500"))
    _healthy, before, after = spans(line)
    assert before["until"] < after["since"]
    # Older than a day: not shown any more.
    _seen_before(24 * 60)
    assert spans(line) == []


@pytest.mark.parametrize(
    ("entries", "lines"),
    [
        ((Entry("A [b](c) `d`\n# e"),), ["## Sprint", "", "### Changed", "", "- A \\[b\\](c) \\`d\\` \\# e"]),
        ((Entry("Odd", (), 3, "javascript:x"),), ["## Sprint", "", "### Changed", "", "- Odd (#3)"]),
        ((Entry("Both", ("feature", "security")),), ["## Sprint", "", "### Security", "", "- Both (feature)"]),
    ],
)
def test_a_changelog_takes_titles_as_text(entries: Sequence[Entry], lines: list[str]) -> None:
    assert write_changelog("Sprint", None, entries) == "\n".join(lines) + "\n"
