"""A run at work on a task, its agent's questions, and people's answers."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient

from common.models.project import Project
from common.models.task import Task
from tests.web.world import World, get


class QuestioningRun:
    """A run at work on a task, and the agent that has it."""

    def __init__(self, world: World, *, slots: int = 1, **project: Any) -> None:
        self.world = world
        self.project: Project = world.project(has_repository=True, **project)
        self.task_id: str = world.task(self.project).id
        self.agent, self.agent_id = world.agent(slots=slots)
        self.run, self.claimed = world.claim(self.agent)

    @property
    def path(self) -> str:
        return f"/api/runner/runs/{self.claimed['run']['id']}"

    def ask(self, text: str = "Which colour?", **values: Any) -> str:
        reply = self.run.post(f"{self.path}/questions", json={"question": text, **values})
        assert reply.status_code in {200, 201}, reply.json
        question_id: str = reply.json["question"]["id"]
        return question_id

    def answer(self, question_id: str, response: str = "blue", client: FlaskClient | None = None) -> int:
        body = {"questionId": question_id, "response": response}
        return (client or self.world.client).post(f"/api/tasks/{self.task_id}/respond", json=body).status_code

    def finish(self, outcome: str, **values: Any) -> None:
        body = {"outcome": outcome, "summary": "Done", **values}
        assert self.run.post(f"{self.path}/finish", json=body).status_code == 200

    def resume(self, agent: FlaskClient | None = None) -> dict[str, Any]:
        """The claim of the task's next run."""
        self.run, self.claimed = self.world.claim(agent or self.agent)
        return self.claimed

    @property
    def state(self) -> tuple[str, str | None]:
        task = get(Task, self.task_id)
        return task.state_, task.phase_

    def question(self, question_id: str) -> dict[str, Any]:
        """As people see it."""
        shown = self.world.client.get(f"/api/tasks/{self.task_id}").json["task"]["questions"]
        return next(question for question in shown if question["id"] == question_id)
