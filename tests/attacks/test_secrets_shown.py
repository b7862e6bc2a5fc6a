"""Secrets are masked at the door, whoever writes them: an agent, a test command, a version that runs."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.jobs.catalogue import Lease
from common.models import Job, Question, Run, TaskGroup
from common.models.delivery import GroupMember
from common.services.activity import jobs
from common.services.agent_api import agent_api
from common.services.agents import pods
from common.services.delivery import group_tests
from common.services.delivery.bisection import CONFIRMING_RUNS, command_digest
from common.services.project_settings.project_resources import location_of
from common.services.projects import projects, provisioning
from common.transaction import Transaction, transactional
from common.values.states import Role
from common.values.testing.build_results import BuildResults, TrialRun
from common.values.testing.check import Check
from tests.web.world import World, all_of, events, forget_providers, get, put

CANARY = "canary/wörd+7f3a"
PLAIN = "canary-plain-11"
KEY = "AKIAIOSFODNN7EXAMPLE"


@pytest.fixture
def world(plain_app: Flask) -> Iterator[World]:
    yield World(plain_app)
    forget_providers()


class Claimed:
    """A run under way, called by its own client."""

    def __init__(self, world: World, **values: Any) -> None:
        variables = {"secret_env_vars": {"API_KEY": CANARY}, "env_vars": {"PLAIN": PLAIN}}
        self.project = world.project(has_repository=True, **{**variables, **values})
        self.task = world.task(self.project)
        self.agent, _agent_id = world.agent()
        self.client, self.claim = world.claim(self.agent)
        self.viewer: FlaskClient = world.client_of("vic", Role.VIEWER)
        self.id: str = self.claim["run"]["id"]

    def post(self, what: str, body: dict[str, Any]) -> Any:
        return self.client.post(f"/api/runner/runs/{self.id}/{what}", json=body)

    def log(self, *messages: str, **about: Any) -> Any:
        lines = [{"level": "info", "message": message, **about} for message in messages]
        return self.post("logs", {"lines": lines}).json

    def transcript(self) -> list[dict[str, Any]]:
        entries, after = [], 0
        while True:
            page = self.viewer.get(f"/api/runs/{self.id}/transcript?after={after}&limit=1000").json
            if not page["entries"]:
                return entries
            entries, after = entries + page["entries"], page["next"]

    def secrets(self) -> list[str]:
        return [CANARY, PLAIN, KEY, self.claim["run"]["token"], self.claim["clone"]["password"]]


@pytest.mark.slow
def test_what_a_run_says_is_shown_to_nobody_with_its_secrets(world: World) -> None:
    run = Claimed(world)
    said = [*run.secrets(), quote(CANARY), base64.b64encode(f"x:{CANARY}".encode()).decode(), json.dumps(CANARY)]
    everything = "I found " + " and ".join(said)

    assert run.log(everything, *(f"now {secret}." for secret in said))["accepted"] == len(said) + 1
    assert run.post("progress", {"message": everything}).status_code == 200
    ask = {"question": everything, "context": everything, "options": [everything], "defaultResponse": everything}
    assert run.post("questions", ask).status_code == 201
    assert run.post("questions", ask).status_code == 200
    proposals = {"proposals": [{"title": everything, "description": everything}]}
    assert run.post("proposals", proposals).status_code == 201
    report = {"outcome": "failed", "summary": everything, "reason": everything}
    assert run.post("finish", report).status_code == 200
    assert run.post("finish", report).status_code == 200
    assert run.post("finish", report | {"summary": "something else"}).status_code == 409

    task = run.viewer.get(f"/api/tasks/{run.task.id}").json
    shown = json.dumps(
        [
            run.transcript(),
            task,
            run.viewer.get(f"/api/tasks/{run.task.id}/events").json,
            run.viewer.get(f"/api/tasks/{run.task.id}/proposals").json,
        ],
        ensure_ascii=False,
    )
    assert shown.count("I found") >= 8
    for secret in said:
        assert secret not in shown
    assert base64.b64encode(f"x:{CANARY}".encode()).decode()[4:-4] not in shown


def test_a_secret_that_is_cut_between_two_lines_or_batches_is_masked(world: World) -> None:
    run = Claimed(world)
    password = run.claim["clone"]["password"]

    run.log(f"first {password[:20]}", f"{password[20:]} last")
    run.log(f"again {password[:20]}")
    run.log(f"{password[20:]} end")

    shown = json.dumps(run.transcript())
    assert password[:20] not in shown
    assert password[20:] not in shown
    assert [one["message"] for one in run.transcript()] == ["first ***", " last", "again ***", "*** end"]


def test_a_private_key_is_masked_line_by_line(world: World) -> None:
    run = Claimed(world)
    made = subprocess.run(["openssl", "genrsa", "1024"], capture_output=True, text=True, check=True).stdout.splitlines()

    run.log("it says", *made[:5])
    run.log(*made[5:], "and so on")

    shown = [one["message"] for one in run.transcript()]
    assert (shown[0], shown[-1]) == ("it says", "and so on")
    assert not any(line in shown for line in made)


@pytest.mark.slow
def test_a_run_asks_only_so_many_questions_and_its_transcript_says_so(world: World) -> None:
    run = Claimed(world)
    replies = [run.post("questions", {"question": f"Number {number}?"}) for number in range(40)]

    most = agent_api.MOST_QUESTIONS
    assert [reply.status_code for reply in replies] == [201] * most + [400] * (40 - most)
    assert replies[-1].json["details"]["field"] == "question"
    assert run.post("questions", {"question": "Number 0?"}).status_code == 200
    assert len(all_of(Question, Question.run_id == run.id)) == most
    assert len(events("task:needs_input", of=run.task.id)) == most
    assert [one["level"] for one in run.transcript()] == ["warn"]
    assert str(most) in run.transcript()[0]["message"]


def claimed_job(subject_id: str) -> Lease:
    """The subject's job, as a worker has it."""
    job = all_of(Job, Job.subject_id == subject_id, Job.state_ == "queued")[0]
    lease = jobs.claim_job(job.id)
    assert lease is not None
    return lease


def test_what_a_job_failed_of_is_shown_without_secrets(world: World) -> None:
    """A forge's or a cluster's own words stand in the error of the job, and of what it was about."""
    made = projects.create_project({"name": "Shop", "secret_env_vars": {"KEY": CANARY}}, by=world.max).project
    viewer = world.client_of("vic", Role.VIEWER)
    said = f"the server said {CANARY} and {KEY}"
    errors = []
    for act in (
        lambda lease: jobs.put_off(lease, said, None, 0),
        lambda lease: jobs.fail_attempt(lease, said),
        lambda lease: jobs.give_up(lease, said, provisioning.fail_provision),
    ):
        lease = claimed_job(made.id)
        act(lease)
        put(Job, lease.job_id, next_at=get(Job, lease.job_id).created_at)
        errors.append(viewer.get(f"/api/jobs/{lease.job_id}").json["job"]["error"])

    assert errors == ["the server said *** and ***"] * 3
    assert viewer.get(f"/api/projects/{made.id}").json["project"]["error"] == "the server said *** and ***"


@pytest.mark.slow
def test_why_a_group_is_red_is_shown_without_secrets(world: World) -> None:
    project = world.project(has_repository=True, secret_env_vars={"KEY": CANARY}, test_command="env")
    [task_id] = world.approved(project)
    group_id = world.group(project, [task_id])["id"]
    # All of the runs that name a culprit but the last one.
    runs = (TrialRun(1, False),) * (CONFIRMING_RUNS - 1) + (TrialRun(0, True),) * CONFIRMING_RUNS
    build = BuildResults(command_digest("env"), runs)
    put(TaskGroup, group_id, state_="merging", base_sha="a" * 40, head_sha="b" * 40, build=build)
    merge_member(group_id, task_id)
    trial = group_tests.Trial(1, 1, Check(location_of(project).space, f"{group_id}-1-1", "b" * 40, "env"))

    # Of a log only the end is kept: it may begin in the midst of a secret.
    group_tests.record_tested(
        claimed_job(group_id), trial, passed=False, reason=f"it said {CANARY}", log=f"{CANARY[4:]} then KEY={CANARY}"
    )

    viewer = world.client_of("vic", Role.VIEWER)
    for path in (f"/api/task-groups/{group_id}", f"/api/tasks/{task_id}"):
        shown = viewer.get(path).json
        assert "it said ***" in str(shown)
        assert "*** then KEY=***" in str(shown)


@transactional
def merge_member(tx: Transaction, group_id: str, task_id: str) -> None:
    member = tx.session.get(GroupMember, (group_id, task_id))
    assert member is not None
    member.merged_sha = "b" * 40


def test_why_a_run_was_lost_is_shown_without_secrets(world: World) -> None:
    """A pod's last words stand in the run, in the task and in the log."""
    run = Claimed(world)
    token, password = run.claim["run"]["token"], run.claim["clone"]["password"]

    pods.give_agent_up(get(Run, run.id).agent_id, f"it said {token} {password} {CANARY}")

    shown = str([run.viewer.get(f"/api/tasks/{run.task.id}").json, run.transcript()])
    assert shown.count("it said *** *** ***") >= 2
