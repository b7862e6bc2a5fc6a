"""What is known of a project's tests over HTTP and on the page: a red default branch, flaky tests, quarantine."""

from __future__ import annotations

from common.models import Project
from common.services.proof import flaky_tests, red_base
from common.services.proof.test_results import Tested
from common.transaction import Transaction, transactional
from common.values.testing.test_report import TestCase, TestReport, TestResult
from tests.web.world import SHA, World, events, get

NAME = "tests.page::test_luck"
RED = Tested(TestReport((TestCase("page::test_red", TestResult.FAILED),)), False, 2, "it exited with 1", "1 failed")


@transactional
def _note(tx: Transaction, project_id: str, name: str = NAME) -> None:
    flaky_tests.note_flakes(tx, project_id, [name], SHA)


def note_tests(project: Project) -> None:
    """The project has a flaky test and a red default branch."""
    _note(project.id)
    red_base.record_base(project.id, SHA, RED, ignored=())


def known(world: World) -> Project:
    """A project with both."""
    project = world.project(test_command="pytest")
    note_tests(project)
    return project


def test_what_is_known_of_a_projects_tests(world: World) -> None:
    project = known(world)
    path = f"/api/projects/{project.id}/tests"

    found = world.client.get(path).json

    assert (found["redBase"]["commitSha"], found["redBase"]["tests"]) == (SHA, ["page::test_red"])
    assert (found["redBase"]["reason"], found["redBase"]["log"]) == ("it exited with 1", "1 failed")
    (test,) = found["flaky"]
    assert (test["name"], test["flakedOn"], test["ranOn"], test["lastSha"]) == (NAME, 1, 1, SHA)
    assert (test["quarantinedUntil"], found["mostQuarantined"]) == (None, 5)


def test_a_quarantine_has_a_reason_an_owner_and_an_end(world: World) -> None:
    project = known(world)
    path = f"/api/projects/{project.id}/tests"
    for body, field in (
        ({"name": NAME}, "reason"), ({"name": NAME, "reason": "x", "days": 0}, "days"),
        ({"name": NAME, "reason": "x", "days": 91}, "days"),
    ):  # fmt: skip
        said = world.client.post(f"{path}/quarantine", json=body)
        assert (said.status_code, said.json["details"]["field"]) == (400, field)
    assert world.client.post(f"{path}/quarantine", json={"name": "other", "reason": "x"}).status_code == 404

    test = world.client.post(f"{path}/quarantine", json={"name": NAME, "reason": "a slow clock", "days": 3}).json[
        "test"
    ]

    assert (test["quarantinedBy"], test["quarantineReason"]) == (world.max.username, "a slow clock")
    assert [event.actor for event in events("test:quarantined")] == [world.max.username]
    assert world.client.post(f"{path}/release", json={"name": NAME}).json["test"]["quarantinedUntil"] is None
    assert world.client.post(f"{path}/release", json={"name": NAME}).status_code == 200
    assert len(events("test:released")) == 1

    world.client.patch(f"/api/projects/{project.id}", json={"mostQuarantined": 0})
    assert world.client.post(f"{path}/quarantine", json={"name": NAME, "reason": "x"}).status_code == 409


def test_a_red_default_branch_needs_somebody_until_it_is_green(world: World) -> None:
    project = known(world)
    red_base.record_base(project.id, SHA, RED, ignored=())
    assert len(events("project:base_tested")) == 1

    (item,) = world.client.get("/api/inbox", query_string={"projectId": project.id}).json["items"]
    assert (item["kind"], item["title"], item["taskId"]) == ("red_base", "main", None)

    green = Tested(TestReport((TestCase("page::test_red", TestResult.PASSED),)), passed=True, runs=1)
    red_base.record_base(project.id, "b" * 40, green, ignored=())
    assert world.client.get("/api/inbox", query_string={"projectId": project.id}).json["items"] == []
    assert get(Project, project.id).red_base is None
