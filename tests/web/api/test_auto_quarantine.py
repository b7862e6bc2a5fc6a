"""The rule that puts flaky tests into quarantine by itself: its limits, its owner, and what people see of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from common.models import Project
from common.models.account import User
from common.services.proof import auto_quarantine, flaky_tests
from common.transaction import Transaction, transactional
from common.values.states import Role
from common.values.testing.test_report import TestCase, TestReport, TestResult
from tests import builders
from tests.web.world import World, events, put

LUCK, COIN = "tests.page::test_luck", "tests.page::test_coin"
RULE = {"commits": 3, "days": 7, "owner": "maxim"}


@transactional
def flake(tx: Transaction, project_id: str, sha: str, *names: str, task_id: str | None = None) -> None:
    """The tests were red and green on the commit: the default branch's, or a task's that did not change them."""
    tx.lock(Project, project_id)
    flaky_tests.count_run(tx, project_id, TestReport(tuple(TestCase(name, TestResult.PASSED) for name in names)))
    flaky_tests.note_flakes(tx, project_id, names, sha)
    auto_quarantine.count_flakes(tx, project_id, names, sha, task_id=task_id)


def flakes(project: Project, *commits: str, name: str = LUCK) -> None:
    for commit in commits:
        flake(project.id, commit * 40, name)


def found_of(world: World, project: Project) -> dict[str, Any]:
    reply = world.client.get(f"/api/projects/{project.id}/tests")
    assert reply.status_code == 200, reply.json
    found: dict[str, Any] = reply.json
    return found


def inside(world: World, project: Project) -> list[str]:
    return [test["name"] for test in found_of(world, project)["flaky"] if test["quarantinedUntil"]]


def test_the_rule_puts_a_test_into_quarantine_and_says_so(world: World) -> None:
    project = world.project(auto_quarantine=RULE)
    flakes(project, "a", "b")
    _count_again(project.id, "b" * 40)
    assert inside(world, project) == []
    assert found_of(world, project)["flaky"][0]["countedOn"] == 2

    flakes(project, "c")

    found = found_of(world, project)
    assert found["autoQuarantine"] == {**RULE, "stopped": None}
    (test,) = found["flaky"]
    reason = "red and green on 3 commits, all of one task counted as one; in all on 3 of the 3 on which it ran"
    assert (test["quarantinedByRule"], test["quarantinedBy"], test["quarantineReason"]) == (True, "maxim", reason)
    until = datetime.fromisoformat(test["quarantinedUntil"])
    assert timedelta(days=6.9) < until - datetime.now(UTC) < timedelta(days=7.1)
    (told,) = events("test:quarantined")
    data = json.loads(told.data)["data"]
    assert (told.actor, data["owner"], data["test"], data["reason"]) == ("platform", "maxim", LUCK, reason)
    assert LUCK in _quarantined(project.id)


@transactional
def _quarantined(tx: Transaction, project_id: str) -> frozenset[str]:
    return flaky_tests.quarantined(tx, project_id)


@transactional
def _count_again(tx: Transaction, project_id: str, sha: str) -> None:
    auto_quarantine.count_flakes(tx, project_id, [LUCK], sha, task_id=None)


def test_all_commits_of_a_task_count_as_one(world: World) -> None:
    project = world.project(auto_quarantine=RULE)
    for commit in "abcdef":
        flake(project.id, commit * 40, LUCK, task_id="task-1")
    flake(project.id, "1" * 40, LUCK, task_id="task-2")
    assert inside(world, project) == []

    flake(project.id, "2" * 40, LUCK, task_id="task-3")
    assert inside(world, project) == [LUCK]


def test_what_a_person_took_out_comes_back_only_for_new_flakes(world: World) -> None:
    project = world.project(auto_quarantine=RULE)
    flakes(project, *"abc")
    released = world.client.post(f"/api/projects/{project.id}/tests/release", json={"name": LUCK}).json["test"]
    assert (released["quarantinedUntil"], released["quarantinedByRule"], released["countedOn"]) == (None, False, 0)

    flakes(project, "a", "b", "c", "d", "e")
    assert inside(world, project) == []
    flakes(project, "f")
    assert inside(world, project) == [LUCK]


def test_the_rule_stops_when_its_owner_may_not_maintain_the_project_any_more(world: World) -> None:
    olga = builders.a_user("olga", Role.MAINTAINER)
    project = world.project(auto_quarantine={**RULE, "owner": "olga"})
    flakes(project, "a", "b")
    put(User, olga.id, role=Role.MEMBER)

    flakes(project, "c")
    found = found_of(world, project)
    assert (inside(world, project), found["autoQuarantine"]["stopped"]) == ([], "owner")

    put(User, olga.id, role=Role.MAINTAINER, is_active=False)
    flakes(project, "d")
    assert inside(world, project) == []
    path = f"/api/projects/{project.id}"
    assert world.client.patch(path, json={"autoQuarantine": RULE}).status_code == 200
    flakes(project, "e")
    assert inside(world, project) == [LUCK]


def test_a_quarantine_by_the_rule_needs_its_owner_until_somebody_decides(world: World) -> None:
    other = world.client_of("olga", Role.MAINTAINER)
    project = world.project(auto_quarantine=RULE)
    flakes(project, *"abc")
    flake(project.id, "a" * 40, COIN)
    path = f"/api/projects/{project.id}/tests"
    world.client.post(f"{path}/quarantine", json={"name": COIN, "reason": "a slow clock"})

    (item,) = world.client.get("/api/inbox").json["items"]
    assert (item["kind"], item["title"], item["state"], item["taskId"]) == ("quarantined", LUCK, "flaky", None)
    assert "red and green on 3 commits" in item["detail"]
    assert other.get("/api/inbox").json["items"] == []

    world.client.post(f"{path}/quarantine", json={"name": LUCK, "reason": "I look into it"})
    assert world.client.get("/api/inbox").json["items"] == []
    (test, _other) = found_of(world, project)["flaky"]
    assert test["quarantinedByRule"] is False


def test_when_the_quarantine_is_full_nothing_is_added_and_the_page_says_so(world: World) -> None:
    project = world.project(auto_quarantine=RULE, most_quarantined=1)
    flakes(project, *"abc")
    flakes(project, *"def", name=COIN)
    found = found_of(world, project)
    assert (inside(world, project), found["autoQuarantine"]["stopped"]) == ([LUCK], "full")

    world.client.post(f"/api/projects/{project.id}/tests/release", json={"name": LUCK})
    assert found_of(world, project)["autoQuarantine"]["stopped"] is None
    flakes(project, "1", name=COIN)
    assert inside(world, project) == [COIN]
