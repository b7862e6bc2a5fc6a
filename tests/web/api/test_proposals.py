"""Follow-up tasks that agents propose, from the run's proposal to a person's decision."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from common.models.task import Task
from tests.web.world import World, all_of, events, get


class Proposing:
    """A run at work on a task."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.project = world.project(has_repository=True, secret_env_vars={"API_KEY": "hunter2-hunter2"})
        self.task_id = world.task(self.project).id
        self.agent, _ = world.agent()
        self.run, claim = world.claim(self.agent)
        self.path = f"/api/runner/runs/{claim['run']['id']}"

    def propose(self, *titles: str, status: int = 201, **values: str) -> list[dict[str, Any]]:
        body = {"proposals": [{"title": title, **values} for title in titles]}
        reply = self.run.post(f"{self.path}/proposals", json=body)
        assert reply.status_code == status, reply.json
        return reply.json.get("proposals", [reply.json])

    @property
    def listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.world.client.get(f"/api/tasks/{self.task_id}/proposals").json["proposals"]
        return found

    def decide(self, proposal_id: str, verb: str, client: FlaskClient | None = None) -> Any:
        return (client or self.world.client).post(f"/api/tasks/{self.task_id}/proposals/{proposal_id}/{verb}")


@pytest.fixture
def proposing(world: World) -> Proposing:
    return Proposing(world)


def test_a_proposal_waits_for_a_person(proposing: Proposing) -> None:
    proposing.propose("Fix  the\nfooter", description="It overlaps.")

    [shown] = proposing.listed
    assert (shown["title"], shown["description"], shown["state"]) == ("Fix the footer", "It overlaps.", "proposed")
    assert (shown["taskId"], shown["createdTaskId"], shown["decidedBy"]) == (proposing.task_id, None, None)
    assert [task.id for task in all_of(Task)] == [proposing.task_id]
    assert proposing.world.client.get(f"/api/tasks/{proposing.task_id}").json["task"]["proposals"] == 1
    assert len(events("task:updated", of='["proposals"]')) == 1


def test_repeating_a_proposal_adds_nothing(proposing: Proposing) -> None:
    [first] = proposing.propose("Fix the footer")
    known, new = proposing.propose("fix the  FOOTER", "Fix the header")
    assert (known["id"], len(proposing.listed)) == (first["id"], 2)
    assert proposing.decide(first["id"], "dismiss").status_code == 200
    [again] = proposing.propose("Fix the footer")
    assert (again["id"], again["state"]) == (first["id"], "dismissed")
    assert new["state"] == "proposed"


def test_accepting_one_creates_the_task_in_the_persons_name(proposing: Proposing) -> None:
    [proposal] = proposing.propose("Fix the footer", description="It overlaps.")

    accepted = proposing.decide(proposal["id"], "accept").json["proposal"]

    created = get(Task, accepted["createdTaskId"])
    assert (created.title, created.description, created.labels) == ("Fix the footer", "It overlaps.", ["proposed"])
    assert (created.project_id, created.state_, created.created_by) == (proposing.project.id, "backlog", "maxim")
    assert (accepted["state"], accepted["decidedBy"]) == ("accepted", "maxim")
    assert proposing.world.client.get(f"/api/tasks/{proposing.task_id}").json["task"]["proposals"] == 0


def test_a_decided_one_is_a_conflict(proposing: Proposing) -> None:
    [proposal] = proposing.propose("Fix the footer")
    assert proposing.decide(proposal["id"], "accept").status_code == 200
    for again in ("accept", "dismiss"):
        assert proposing.decide(proposal["id"], again).status_code == 409
    assert len(all_of(Task)) == 2


def test_a_run_proposes_only_so_many(proposing: Proposing) -> None:
    proposing.propose(*(f"Number {number}" for number in range(15)))
    [refused] = proposing.propose(*(f"Number {number}" for number in range(10, 21)), status=400)
    assert refused["details"]["field"] == "proposals"
    assert len(proposing.listed) == 15
    proposing.propose(*(f"Number {number}" for number in range(5, 20)))
    assert len(proposing.listed) == 20


@pytest.mark.parametrize(
    ("proposals", "field"),
    [
        ([{"title": f"Number {number}"} for number in range(21)], "proposals"),
        ([{"title": "Fine"}, {"title": " \n "}], "proposals.1.title"),
    ],
)
def test_what_is_no_proposal_is_refused_and_nothing_is_stored(proposing: Proposing, proposals: Any, field: str) -> None:
    reply = proposing.run.post(f"{proposing.path}/proposals", json={"proposals": proposals})
    assert (reply.status_code, reply.json["details"]["field"]) == (400, field)
    assert proposing.listed == []


def test_secrets_are_masked_and_long_texts_cut(proposing: Proposing) -> None:
    proposing.propose("Rotate hunter2-hunter2 " + "x" * 300, description="hunter2-hunter2 " + "y" * 20_000)
    [shown] = proposing.listed
    assert "hunter2" not in shown["title"] + shown["description"]
    assert (len(shown["title"]), shown["title"][:11]) == (200, "Rotate *** ")
    assert "… cut, " in shown["description"]

    [other] = proposing.propose("Rotate hunter2\u200b-hunter2")
    assert other["title"] == "Rotate ***"
