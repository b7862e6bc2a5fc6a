"""The platform's tools as an agent meets them: the SDK's client, the socket, the runner's desk and a real server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from mcp import ClientSession

from common.models.run import Run
from common.models.task import Question, Task
from tests.web.world import SHA, World, all_of, forget_providers, get, served
from tests.workers.runner import mcp_client
from workers.runner.platform_client.client import RunToken
from workers.runner.processes.cancellation import Cancellation
from workers.runner.tools import tools
from workers.runner.tools.mcp_server import TOOLS
from workers.runner.tools.platform_calls import ToolApi
from workers.runner.tools.tool_socket import Reply, Request, ToolSocket
from workers.runner.tools.tools import PlatformToolHandler


class AtWork:
    """A run at work, with the desk that answers its agent's tools."""

    def __init__(self, world: World, url: str) -> None:
        self.world, self.url = world, url
        self.project = world.project(
            has_repository=True, test_command="make test", agent_instructions="Be brief.", question_rules={}
        )
        self.task_id = world.task(self.project, "Greet", description="Say hello.").id
        self.agent, _ = world.agent()
        self.over: list[str] = []
        self.claim()

    def claim(self) -> None:
        self.run, self.claimed = self.world.claim(self.agent)
        self.cancellation = Cancellation()
        self.desk = self.desk_of(hold_seconds=0.2)

    def desk_of(self, hold_seconds: float, url: str | None = None) -> PlatformToolHandler:
        claimed = self.claimed["run"]
        api = ToolApi(url or self.url, claimed["id"], RunToken(claimed["token"]), self.cancellation)
        return PlatformToolHandler(api, hold_seconds=hold_seconds, on_over=self.over.append)

    def call(self, tool: str, **arguments: Any) -> Reply:
        return self.desk.answer(Request(tool, arguments))

    def text(self, tool: str, **arguments: Any) -> str:
        reply = self.call(tool, **arguments)
        assert reply.ok, reply.text
        return reply.text

    def json(self, tool: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.text(tool))
        return answer

    def respond(self, response: str = "blue", client: FlaskClient | None = None) -> None:
        [question] = [row for row in all_of(Question) if row.state == "pending"]
        body = {"questionId": question.id, "response": response}
        reply = (client or self.world.client).post(f"/api/tasks/{self.task_id}/respond", json=body)
        assert reply.status_code == 200, reply.json

    def finish(self, outcome: str, **values: Any) -> None:
        body = {"outcome": outcome, "summary": "", **values}
        path = f"/api/runner/runs/{self.claimed['run']['id']}/finish"
        assert self.run.post(path, json=body).status_code == 200

    @property
    def state(self) -> str:
        state: str = get(Task, self.task_id).state_
        return state


@pytest.fixture
def at_work(world: World) -> Iterator[AtWork]:
    with served() as url:
        yield AtWork(world, url)


@pytest.fixture
def plain_at_work(plain_app: Flask) -> Iterator[AtWork]:
    """On SQLite alone: for what no database could do differently."""
    world = World(plain_app)
    with served() as url:
        yield AtWork(world, url)
    forget_providers()


@pytest.mark.slow
def test_a_question_travels_from_the_program_to_a_person_and_back(plain_at_work: AtWork, tmp_path: Path) -> None:
    """The SDK's client, the shim's process, the socket, the desk and a real server."""
    client = plain_at_work.world.app_client()

    def answer() -> None:
        while not all_of(Question):
            threading.Event().wait(0.01)
        plain_at_work.respond("grün", client=client)

    async def work(session: ClientSession) -> list[tuple[bool, str]]:
        return [
            await mcp_client.call(session, "ask_user_question", question="Which colour?"),
            await mcp_client.call(session, "request_review", summary="Done"),
        ]

    desk = plain_at_work.desk_of(hold_seconds=45)
    with ToolSocket(tmp_path, desk) as socket, ThreadPoolExecutor(1) as pool:
        answering = pool.submit(answer)
        said = mcp_client.with_client(socket, work)
        answering.result(100)
    assert said == [(True, "grün"), (True, tools.REVIEW_NOTED)]
    assert (desk.review_summary, desk.is_question_open) == ("Done", False)


@pytest.mark.slow
def test_what_the_agent_reads(at_work: AtWork) -> None:
    other = at_work.world.task(at_work.project, "Other", labels=["later"])
    elsewhere = at_work.world.task(at_work.world.project("GiteaAndCluster"), "Hidden")
    comment = {"body": "Mind the footer", "path": "a.css", "line": 3}
    assert at_work.world.client.post(f"/api/tasks/{at_work.task_id}/comments", json=comment).status_code == 201

    read = at_work.json("get_task")
    assert (read["task"]["title"], read["task"]["description"], read["task"]["round"]) == ("Greet", "Say hello.", 1)
    assert (read["project"]["testCommand"], read["project"]["agentInstructions"]) == ("make test", "Be brief.")
    [given] = at_work.json("get_feedback")["feedback"]
    assert (given["kind"], given["author"], given["body"], given["path"], given["line"]) == (
        "comment", "maxim", "Mind the footer", "a.css", 3,
    )  # fmt: skip
    listed = at_work.json("list_project_tasks")["tasks"]
    assert [(task["id"], task["state"], task["labels"]) for task in listed] == [(other.id, "backlog", ["later"])]
    assert elsewhere.id not in str(listed)


@pytest.mark.slow
def test_a_review_gives_the_summary_and_gives_up_open_questions(plain_at_work: AtWork) -> None:
    assert plain_at_work.desk.review_summary is None
    assert plain_at_work.text("request_review", summary="All done") == tools.REVIEW_NOTED
    plain_at_work.text("ask_user_question", question="Really?")
    assert (plain_at_work.desk.review_summary, plain_at_work.desk.is_question_open) == (None, True)
    assert plain_at_work.text("request_review", summary="Done without") == tools.REVIEW_WITHOUT_ANSWER
    assert (plain_at_work.desk.review_summary, plain_at_work.desk.is_question_open) == ("Done without", False)
    plain_at_work.finish("completed", commitSha=SHA)
    assert [question.state for question in all_of(Question)] == ["withdrawn"]


@pytest.mark.slow
def test_a_run_that_is_over_is_dropped(plain_at_work: AtWork) -> None:
    plain_at_work.finish("failed")
    assert plain_at_work.call("get_task") == Reply(False, tools.RUN_OVER)
    assert len(plain_at_work.over) == 1
    assert get(Run, plain_at_work.claimed["run"]["id"]).state_ == "ended"


def test_a_platform_that_is_away_is_said_in_time() -> None:
    api = ToolApi("http://127.0.0.1:9", "run-1", RunToken("awr_x"), Cancellation(), call_seconds=0.5)
    desk = PlatformToolHandler(api, hold_seconds=1, on_over=print)
    reply = desk.answer(Request("get_task", {}))
    assert not reply.ok
    assert reply.text.startswith("The platform does not answer at the moment")
    assert sorted(tool.name for tool in TOOLS) == sorted(desk.names)
