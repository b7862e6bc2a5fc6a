"""People steer an agent: messages reach it once and in order, and a task is taken over by hand and handed back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient

from common.jobs.catalogue import RELEASE_RUN
from common.models import Job, Run, Task
from common.services.projects.projects import put_member
from common.values.states import Role
from tests import builders
from tests.web.world import World, all_of, get, put, run_jobs


class Shop:
    """A task, and the run that works on it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.project = world.project(has_repository=True, secret_env_vars={"API_KEY": "canary/wörd+7f3a"})
        self.task = world.task(self.project)
        self.mia: FlaskClient = world.client_of("mia", Role.MEMBER)
        self.agent, self.agent_id = world.agent()
        self.run, self.claim = world.claim(self.agent)
        self.run_id: str = self.claim["run"]["id"]

    def post(self, verb: str, client: FlaskClient | None = None, **body: Any) -> Any:
        return (client or self.mia).post(f"/api/tasks/{self.task.id}/{verb}", json=body)

    def say(self, text: str, **more: Any) -> Any:
        return self.post("messages", text=text, **more)

    def fetch(self, after: int = 0, wait: int = 0, client: FlaskClient | None = None) -> list[dict[str, Any]]:
        path = f"/api/runner/runs/{self.run_id}/messages?after={after}&wait={wait}"
        reply = (client or self.run).get(path)
        assert reply.status_code == 200, reply.json
        messages: list[dict[str, Any]] = reply.json["messages"]
        return messages

    def acknowledge(self) -> None:
        """Fetch what there is, and ask for what comes after it, as an agent does at once."""
        assert self.fetch(after=self.fetch()[-1]["seq"]) == []

    def finish(self, outcome: str = "cancelled", **more: Any) -> Any:
        return self.run.post(
            f"/api/runner/runs/{self.run_id}/finish",
            json={"outcome": outcome, "summary": "", "commitSha": None, **more},
        )

    def beat(self, *run_ids: str) -> list[dict[str, Any]]:
        reply = self.agent.post("/api/runner/heartbeat", json={"runIds": list(run_ids or [self.run_id])})
        directives: list[dict[str, Any]] = reply.json["directives"]
        return directives

    def claim_next(self) -> dict[str, Any]:
        """The next run of the task, which takes the place of the first."""
        self.run, self.claim = self.world.claim(self.agent)
        self.run_id = self.claim["run"]["id"]
        return self.claim

    def read(self) -> dict[str, Any]:
        task: dict[str, Any] = self.mia.get(f"/api/tasks/{self.task.id}").json["task"]
        return task

    def transcript(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.mia.get(f"/api/runs/{self.run_id}/transcript").json["entries"]
        return entries


@pytest.fixture
def shop(world: World) -> Shop:
    return Shop(world)


# Messages


def test_a_message_reaches_the_run_once_and_in_order(shop: Shop) -> None:
    replies = [shop.say(f"message {number}").json["message"] for number in range(3)]
    first = shop.fetch()
    assert [(one["text"], one["author"], one["interrupts"]) for one in first] == [
        ("message 0", "mia", False), ("message 1", "mia", False), ("message 2", "mia", False),
    ]  # fmt: skip
    assert [one["seq"] for one in first] == [one["seq"] for one in replies]
    assert sorted({one["seq"] for one in first}) == [one["seq"] for one in first]

    assert shop.fetch(after=first[-1]["seq"]) == []
    assert shop.fetch(after=first[0]["seq"]) == first[1:]
    assert shop.fetch() == first
    shop.say("one more", interrupt=True)
    assert [(one["text"], one["interrupts"]) for one in shop.fetch(after=first[-1]["seq"])] == [("one more", True)]


def test_a_message_wakes_the_run_that_waits_for_it(shop: Shop) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(shop.fetch, wait=25)
        shop.say("wake up")
        assert [one["text"] for one in waiting.result()] == ["wake up"]


def test_a_message_is_shown_with_its_author_and_without_secrets_in_the_transcript(shop: Shop) -> None:
    shop.say("use canary/wörd+7f3a", interrupt=True)
    (entry,) = [entry for entry in shop.transcript() if entry["kind"] == "message"]
    assert (entry["message"], entry["details"]["author"], entry["details"]["interrupts"]) == ("use ***", "mia", True)
    (comment,) = shop.read()["comments"]
    assert (comment["kind"], comment["author"], comment["deliveredAt"]) == ("message", "mia", None)
    shop.acknowledge()
    assert shop.read()["comments"][0]["deliveredAt"]


# Taking over


def test_a_task_is_taken_over_and_its_agent_told_to_stop(shop: Shop) -> None:
    assert shop.beat() == []
    task = shop.post("take-over").json["task"]
    assert (task["state"], task["phase"], task["heldBy"]) == ("in_progress", "held", "mia")
    assert task["cloneLine"] == f"git clone -b {shop.task.branch_name} {shop.project.repository_url}.git"
    assert shop.world.client_of("vic", Role.VIEWER).get(f"/api/tasks/{shop.task.id}").json["task"]["cloneLine"] is None

    assert shop.beat() == [{"runId": shop.run_id, "do": "cancel"}]
    assert get(Run, shop.run_id).state == "running"
    assert shop.run.post(f"/api/runner/runs/{shop.run_id}/logs", json={"lines": []}).status_code == 200
    assert shop.finish().status_code == 200
    assert (shop.read()["phase"], shop.read()["heldBy"]) == ("held", "mia")
    assert shop.agent.post("/api/runner/claim", json={}).status_code == 204


@pytest.mark.parametrize("outcome", ["completed", "failed"])
def test_however_the_agent_ends_the_task_stays_held(shop: Shop, outcome: str) -> None:
    shop.post("take-over")
    assert shop.finish(outcome, reason="so").status_code == 200
    assert (shop.read()["state"], shop.read()["phase"], shop.read()["error"]) == ("in_progress", "held", None)


def test_a_run_that_does_not_stop_is_ended(shop: Shop) -> None:
    shop.post("take-over")
    (job,) = all_of(Job, Job.kind == RELEASE_RUN.name)
    assert 80 < (job.next_at - job.created_at).total_seconds() < 100
    reply = shop.post("hand-back")
    assert (reply.status_code, "90 seconds" in reply.json["details"]["message"]) == (409, True)

    put(Job, job.id, next_at=job.created_at)
    run_jobs(RELEASE_RUN)

    run = get(Run, shop.run_id)
    assert (run.state, run.outcome, "taken over by mia" in run.reason) == ("ended", "cancelled", True)
    assert shop.read()["phase"] == "held"
    assert shop.post("hand-back").status_code == 200


def test_a_task_is_handed_back_with_a_note(shop: Shop) -> None:
    shop.post("take-over")
    shop.finish()
    task = shop.post("hand-back", note="I fixed the tests; add the docs.").json["task"]
    assert (task["phase"], task["heldBy"], task["cloneLine"], task["round"]) == ("queued", None, None, 2)

    claim = shop.claim_next()
    assert [(one["kind"], one["body"]) for one in claim["feedback"]] == [("note", "I fixed the tests; add the docs.")]
    assert "I fixed the tests" in claim["prompt"]
    assert (claim["run"]["round"], shop.beat()) == (2, [])


def test_only_the_holder_and_maintainers_hand_back(shop: Shop) -> None:
    shop.post("take-over")
    shop.finish()
    other = shop.world.client_of("moe", Role.MEMBER)
    assert shop.post("hand-back", other).status_code == 403
    refused = shop.post("take-over", other)
    assert refused.json["details"]["message"].endswith("is held by mia, who can hand it back, or a maintainer")
    assert shop.post("take-over").status_code == 200
    assert shop.post("hand-back", shop.world.client).status_code == 200
    assert shop.post("hand-back", shop.world.client).status_code == 409


def test_proven_work_is_taken_over_by_a_maintainer(shop: Shop) -> None:
    shop.finish("completed")
    verifying = shop.post("take-over")
    assert (verifying.status_code, "verified" in verifying.json["details"]["message"]) == (409, True)
    put(Task, shop.task.id, state_="ready_to_test", phase_=None)
    assert shop.post("take-over").status_code == 403
    assert shop.post("take-over", shop.world.client).json["task"]["heldBy"] == "maxim"
    assert shop.post("approve", shop.world.client).status_code == 409


@pytest.mark.parametrize("state", ["approved", "production"])
def test_in_other_states_nothing_is_taken_over(shop: Shop, state: str) -> None:
    put(Task, shop.task.id, state_=state, phase_=None)
    reply = shop.post("take-over", shop.world.client)
    assert (reply.status_code, get(Task, shop.task.id).held_by) == (409, None)
    assert "needs_input" in reply.json["details"]["message"]


def test_a_restricted_project_s_tasks_are_steered_by_its_members_alone(shop: Shop) -> None:
    shop.world.client_of("ada", Role.ADMIN).patch(f"/api/projects/{shop.project.id}", json={"restricted": True})
    for verb, body in (("messages", {"text": "x"}), ("take-over", {}), ("hand-back", {})):
        assert shop.post(verb, **body).status_code == 404
    put_member(
        shop.project.id, shop.world.users["mia"].id, Role.VIEWER,
        by=builders.caller_of(shop.world.users["ada"]),
    )  # fmt: skip
    assert shop.say("x").status_code == 403
