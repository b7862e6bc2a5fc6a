"""Receipts: each version that goes to production is vouched for, and whose receipts a person may read."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from common.models import GroupTest, Run, Task, TaskCheck
from common.secrets import envelopes
from common.secrets.signing import digest_of, public_key
from common.transaction import Transaction, transactional
from common.values.names import new_id
from tests.providers.git_work_tree import git
from tests.web.api.production_line import ProductionLine
from tests.web.world import World, get


@pytest.fixture
def line(world: World) -> ProductionLine:
    return ProductionLine(world)


def receipts_of(line: ProductionLine, sha: str) -> list[dict[str, Any]]:
    reply = line.world.client.get(f"/api/receipts/{sha}")
    assert reply.status_code == 200, reply.json
    found: list[dict[str, Any]] = reply.json["receipts"]
    return found


def opened(receipt: dict[str, Any]) -> dict[str, Any]:
    """What the receipt says, checked with the public key alone."""
    return envelopes.open_envelope(receipt["envelope"], envelopes.read_keys(public_key()))


@transactional
def _prove(tx: Transaction, task_id: str, group_id: str, sha: str) -> None:
    """The rows that a run, its proof and the group's tests leave."""
    run = Run(
        id=new_id(), state_="ended", task_id=task_id, project_id=tx.get(Task, task_id).project_id, agent_id="agent-1",
        round=1, driver="claude", model="opus", outcome="completed", claimed_sha=sha, token_digest=new_id(),
        usage={"inputTokens": 700, "outputTokens": 30, "costUsd": 0.25}, prompt_digest="b" * 64, created_at=tx.now(),
        started_at=tx.now(), seen_at=tx.now(), finished_at=tx.now(), overruled_by="max",
        overruled_reason="It greets as agreed", overruled_at=tx.now(),
    )  # fmt: skip
    tx.add(run)
    check = {"task_id": task_id, "run_id": run.id, "commit_sha": sha, "at": tx.now()}
    tx.add(TaskCheck(name="tests", status="passed", message="They pass.", log="3 passed", **check))
    tx.add(
        GroupTest(group_id=group_id, attempt=1, position=1, commit_sha=sha, passed=True, log="5 passed", at=tx.now())
    )


def test_what_led_to_a_version_is_in_its_receipt(line: ProductionLine) -> None:
    task_id = line.task("Greet", description="Say hello")
    group_id = line.staged(task_id, name="Spring")
    _prove(task_id, group_id, get(Task, task_id).approved_sha)
    assert line.act(group_id, "deploy-production").status_code == 202
    live = line.go_live(line.under_way().id)

    (receipt,) = receipts_of(line, live.commit_sha)

    statement = opened(receipt)
    said = statement["predicate"]
    assert (receipt["number"], receipt["kind"], receipt["deploymentId"]) == (1, "delivery", live.id)
    assert statement["subject"][0]["digest"] == {
        "gitCommit": live.commit_sha, "gitTree": git("rev-parse", f"{live.commit_sha}^{{tree}}", at=line.path)
    }  # fmt: skip
    assert (said["number"], said["previous"]) == (1, None)
    (task,) = said["tasks"]
    assert task["request"]["sha256"] == hashlib.sha256(b"Greet\n\nSay hello").hexdigest()
    assert task["approval"]["by"] == "max"
    (overruled,) = task["overruled"]
    assert (overruled["by"], overruled["reason"]) == ("max", "It greets as agreed")
    (run,) = task["runs"]
    assert (run["driver"], run["model"], run["promptSha256"]) == ("claude", "opus", "b" * 64)
    assert run["usage"]["costUsd"] == 0.25
    assert [(check["name"], check["status"], check["logSha256"]) for check in task["checks"]] == [
        ("tests", "passed", digest_of("3 passed"))
    ]
    assert said["group"]["name"] == "Spring"
    assert [test["logSha256"] for test in said["group"]["tests"]] == [digest_of("5 passed")]
    assert said["staging"]["commitSha"] == live.commit_sha
    assert "Say hello" not in json.dumps(statement)


@pytest.mark.slow
def test_values_of_variables_are_not_in_a_receipt(line: ProductionLine) -> None:
    line.world.client.patch(f"/api/projects/{line.project.id}", json={"envVars": {"COLOUR": "canary-red"}})

    first = opened(receipts_of(line, line.deliver().commit_sha)[0])
    line.world.client.patch(f"/api/projects/{line.project.id}", json={"envVars": {"COLOUR": "canary-blue"}})
    second = opened(receipts_of(line, line.deliver().commit_sha)[0])

    assert "canary" not in json.dumps([first, second])
    # Nor can a short value be guessed by its digest.
    digests = [one["predicate"]["deployment"]["specSha256"] for one in (first, second)]
    assert digests[0] == digests[1]


@pytest.mark.slow
def test_receipts_of_a_project_are_a_chain(line: ProductionLine) -> None:
    elsewhere = ProductionLine(line.world, "Other")
    delivered = [line.deliver(), line.deliver()]
    elsewhere.deliver()
    delivered.append(line.deliver())

    chain = [receipts_of(line, one.commit_sha)[0] for one in delivered]

    assert [one["number"] for one in chain] == [1, 2, 3]
    assert [opened(one)["predicate"]["previous"] for one in chain] == [None, chain[0]["digest"], chain[1]["digest"]]
    assert [one["digest"] for one in chain] == [hashlib.sha256(one["envelope"].encode()).hexdigest() for one in chain]


@pytest.mark.slow
def test_a_rollback_has_a_receipt_that_says_what_was_taken_back(line: ProductionLine) -> None:
    first = line.deliver(line.task("Greet"))
    task_id = line.task("Shout")
    second = line.deliver(task_id)

    line.roll_back()

    delivery, rollback = receipts_of(line, first.commit_sha)
    said = opened(rollback)["predicate"]
    assert (delivery["kind"], rollback["kind"], rollback["number"]) == ("delivery", "rollback", 3)
    assert said["left"]["commitSha"] == second.commit_sha
    assert [(group["commitSha"], group["taskIds"]) for group in said["takenBack"]] == [(second.commit_sha, [task_id])]
    assert said["deployment"]["by"] == line.world.max.username
    assert said["previous"] == receipts_of(line, second.commit_sha)[0]["digest"]


def test_a_commit_is_found_by_its_first_digits(line: ProductionLine) -> None:
    live = line.deliver()

    assert receipts_of(line, live.commit_sha[:7]) == receipts_of(line, live.commit_sha)
    assert receipts_of(line, live.commit_sha.upper()) == receipts_of(line, live.commit_sha)
