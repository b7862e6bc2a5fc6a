"""Each operation with which people change something leaves an event that names them, or says here why it does not."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from common.models import EventRow, Job, Project, Task, TaskGroup
from common.values.states import Environment, ProjectState, Role, TaskState
from tests import builders
from tests.web import factories
from tests.web.api import test_findings, test_lost_tests, test_overruled_reviews, test_project_tests
from tests.web.api.test_parking import Shop
from tests.web.world import SHA, World, all_of, head_of, put
from web.http.auth import SAFE_METHODS, rule_of

PASSWORD = "correct horse staple 9"


class Scene:
    """Ada, an administrator, acts; max made what she acts on."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ada = world.client_of("ada", Role.ADMIN)

    @cached_property
    def project(self) -> Project:
        return self.world.project()

    @cached_property
    def task(self) -> Task:
        return self.world.task(self.project)

    @cached_property
    def mia_id(self) -> str:
        self.world.client_of("mia", Role.MEMBER)
        return self.world.users["mia"].id

    def send(self, method: str, path: str, **body: Any) -> TestResponse:
        return self.ada.open(f"/api{path}", method=method, json=body or None)

    def make(self, path: str, kind: str, /, **body: Any) -> str:
        """The id of what Ada makes before she acts."""
        reply = self.send("POST", path, **body)
        assert reply.status_code == 201, reply.json
        return str(reply.json[kind]["id"])

    def of_task(self, verb: str, *, state: TaskState | None = None, **body: Any) -> TestResponse:
        if state is not None:
            factories.set_state(self.task, state, head_sha=SHA)
        return self.send("POST", f"/tasks/{self.task.id}/{verb}", **body)

    def of_group(self, verb: str, *, state: str = "merging", **body: Any) -> TestResponse:
        group = self.world.group(self.project, self.world.approved(self.project, "One", "Two"))
        put(TaskGroup, group["id"], state_=state)
        body = {"taskId": group["taskIds"][0]} if verb == "remove" else body
        return self.send("POST", f"/task-groups/{group['id']}/{verb}", **body)

    def retry_job(self) -> TestResponse:
        job = all_of(Job, Job.project_id == self.project.id)[0]
        put(Job, job.id, state_="failed", live_key=None)
        return self.send("POST", f"/jobs/{job.id}/retry")

    def retry_project(self) -> TestResponse:
        factories.set_state(self.project, ProjectState.FAILED)
        return self.send("POST", f"/projects/{self.project.id}/retry")

    def member(self, method: str, **body: Any) -> TestResponse:
        path = f"/projects/{self.project.id}/members/{self.mia_id}"
        if method == "DELETE":
            assert self.send("PUT", path, role="viewer").status_code == 200
        return self.send(method, path, **body)

    def to_production(self) -> TestResponse:
        project = self.world.project(has_repository=True)
        group_id = self.world.staged(project, base_sha=head_of(project))
        return self.send("POST", f"/task-groups/{group_id}/deploy-production")

    def roll_back(self) -> TestResponse:
        older = {"commit_sha": "b" * 40, "is_live": False, "state": "superseded"}
        self.world.deployment(self.project, Environment.PRODUCTION, **older)
        live = self.world.deployment(self.project, Environment.PRODUCTION)
        return self.send("POST", f"/deployments/{live}/rollback")

    def answer(self) -> TestResponse:
        question = factories.a_question(self.task)
        return self.of_task("respond", questionId=question.id, response="Yes")

    def test_of_project(self, verb: str, **body: Any) -> TestResponse:
        project = test_project_tests.known(self.world)
        path = f"/projects/{project.id}/tests"
        if verb == "release":
            about = {"name": test_project_tests.NAME, "reason": "a slow clock"}
            assert self.send("POST", f"{path}/quarantine", **about).status_code == 200
        return self.send("POST", f"{path}/{verb}", name=test_project_tests.NAME, **body)

    def resume(self) -> TestResponse:
        shop = Shop(self.world)
        shop.park()
        return self.send("POST", f"/tasks/{shop.task_id}/resume")

    def take_over(self) -> TestResponse:
        self.shop = Shop(self.world)
        return self.send("POST", f"/tasks/{self.shop.task_id}/take-over")

    def hand_back(self) -> TestResponse:
        taken = self.take_over()
        assert taken.status_code == 200, taken.json
        self.shop.finish()
        return self.send("POST", f"/tasks/{self.shop.task_id}/hand-back", note="Go on")

    def attach(self) -> TestResponse:
        return self.ada.post(f"/api/tasks/{self.task.id}/attachments?name=notes.txt", data=b"Mind this")

    def detach(self) -> TestResponse:
        attached = self.attach().json["attachment"]["id"]
        return self.send("DELETE", f"/tasks/{self.task.id}/attachments/{attached}")

    def propose(self, verb: str) -> TestResponse:
        return self.of_task(f"proposals/{factories.a_proposal(self.task).id}/{verb}")

    def resolve(self) -> TestResponse:
        comment = self.make(f"/tasks/{self.task.id}/comments", "comment", body="Mind this")
        return self.send("PATCH", f"/tasks/{self.task.id}/comments/{comment}", resolved=True)

    def submit(self) -> TestResponse:
        return self.of_task("review/submit", verdict="comment", body="Mind this")

    def provider(self, method: str, **body: Any) -> TestResponse:
        about = {"name": "main", "api": "anthropic", "baseUrl": "https://api.anthropic.com", "key": "sk-ant-canary"}
        if method == "POST":
            return self.send("POST", "/model-providers", **about)
        return self.send(method, f"/model-providers/{self.make('/model-providers', 'modelProvider', **about)}", **body)

    def group_tasks(self) -> TestResponse:
        ids = self.world.approved(self.project)
        return self.send("POST", "/task-groups", projectId=self.project.id, taskIds=ids)

    def change_password(self) -> TestResponse:
        client = self.world.app.test_client()
        token = builders.log_in(client, "ada")["accessToken"]
        own = builders.client_with(self.world.app, token)
        return own.post("/api/auth/password", json={"current": builders.PASSWORD, "new": PASSWORD})

    def of_agent(self, method: str, verb: str = "") -> TestResponse:
        return self.send(method, f"/agents/{self.world.agent()[1]}{verb}")

    def end_token(self, path: str, kind: str, made_at: str, /, **body: Any) -> TestResponse:
        return self.send("DELETE", f"{path}/{self.make(made_at, kind, **body)}")


Act = Callable[[Scene], TestResponse]
TASK, GROUP, PROJECT = "/api/tasks/<id:task_id>", "/api/task-groups/<id:group_id>", "/api/projects/<id:project_id>"

RECORDED: dict[str, Act] = {
    "POST /api/auth/password": Scene.change_password,
    "POST /api/users": lambda scene: scene.send("POST", "/users", username="eve", password=PASSWORD),
    "PATCH /api/users/<id:user_id>": lambda scene: scene.send("PATCH", f"/users/{scene.mia_id}", role="viewer"),
    "DELETE /api/users/<id:user_id>": lambda scene: scene.send("DELETE", f"/users/{scene.mia_id}"),
    "POST /api/tokens": lambda scene: scene.send("POST", "/tokens", name="ci"),
    "DELETE /api/tokens/<id:token_id>": lambda scene: scene.end_token("/tokens", "token", "/tokens", name="ci"),
    "POST /api/agents/enrolment-tokens": lambda scene: scene.send("POST", "/agents/enrolment-tokens"),
    "DELETE /api/enrolment-tokens/<id:token_id>": lambda scene: scene.end_token(
        "/enrolment-tokens", "enrolmentToken", "/agents/enrolment-tokens"
    ),
    "POST /api/agents/<agent_id:agent_id>/drain": lambda scene: scene.of_agent("POST", "/drain"),
    "DELETE /api/agents/<agent_id:agent_id>": lambda scene: scene.of_agent("DELETE"),
    "POST /api/model-providers": lambda scene: scene.provider("POST"),
    "PATCH /api/model-providers/<id:provider_id>": lambda scene: scene.provider("PATCH", enabled=False),
    "DELETE /api/model-providers/<id:provider_id>": lambda scene: scene.provider("DELETE"),
    "PATCH /api/caps": lambda scene: scene.send("PATCH", "/caps", day={"tokens": 1_000_000}),
    "PATCH /api/webhook": lambda scene: scene.send("PATCH", "/webhook", kinds=["question"]),
    "POST /api/webhook/secret": lambda scene: scene.send("POST", "/webhook/secret"),
    "POST /api/jobs/<id:job_id>/retry": Scene.retry_job,
    "POST /api/projects": lambda scene: scene.send("POST", "/projects", name="New"),
    "POST /api/projects/sample": lambda scene: scene.send("POST", "/projects/sample"),
    f"PATCH {PROJECT}": lambda scene: scene.send("PATCH", f"/projects/{scene.project.id}", replicas=2),
    f"DELETE {PROJECT}": lambda scene: scene.send("DELETE", f"/projects/{scene.project.id}"),
    f"POST {PROJECT}/retry": Scene.retry_project,
    f"PUT {PROJECT}/members/<id:user_id>": lambda scene: scene.member("PUT", role="viewer"),
    f"DELETE {PROJECT}/members/<id:user_id>": lambda scene: scene.member("DELETE"),
    f"POST {PROJECT}/tests/quarantine": lambda scene: scene.test_of_project("quarantine", reason="a slow clock"),
    f"POST {PROJECT}/tests/test-base-again": lambda scene: scene.send(
        "POST", f"/projects/{test_project_tests.known(scene.world).id}/tests/test-base-again"
    ),
    f"POST {PROJECT}/tests/release": lambda scene: scene.test_of_project("release"),
    "POST /api/tasks": lambda scene: scene.send("POST", "/tasks", projectId=scene.project.id, title="Greet"),
    f"PATCH {TASK}": lambda scene: scene.send("PATCH", f"/tasks/{scene.task.id}", title="Greet them"),
    f"POST {TASK}/respond": Scene.answer,
    f"POST {TASK}/approve": lambda scene: scene.of_task("approve", state=TaskState.READY_TO_TEST),
    f"POST {TASK}/reject": lambda scene: scene.of_task("reject", state=TaskState.READY_TO_TEST, reason="No"),
    f"POST {TASK}/cancel": lambda scene: scene.of_task("cancel"),
    f"POST {TASK}/retry": lambda scene: scene.of_task("retry", state=TaskState.FAILED),
    f"POST {TASK}/resume": Scene.resume,
    f"POST {TASK}/comments": lambda scene: scene.of_task("comments", body="Mind this"),
    f"PATCH {TASK}/comments/<id:comment_id>": Scene.resolve,
    f"POST {TASK}/review/submit": Scene.submit,
    f"POST {TASK}/proposals/<id:proposal_id>/accept": lambda scene: scene.propose("accept"),
    f"POST {TASK}/proposals/<id:proposal_id>/dismiss": lambda scene: scene.propose("dismiss"),
    f"POST {TASK}/messages": lambda scene: scene.of_task("messages", state=TaskState.IN_PROGRESS, text="Mind this"),
    f"POST {TASK}/take-over": Scene.take_over,
    f"POST {TASK}/hand-back": Scene.hand_back,
    f"POST {TASK}/attachments": Scene.attach,
    f"DELETE {TASK}/attachments/<id:attachment_id>": Scene.detach,
    f"POST {TASK}/accept-lost-tests": lambda scene: scene.send(
        "POST", f"/tasks/{test_lost_tests.refused(scene.world).id}/accept-lost-tests", names=["page::test_title"]
    ),
    f"POST {TASK}/accept-findings": lambda scene: scene.send(
        "POST", f"/tasks/{test_findings.refused(scene.world).id}/accept-findings", names=test_findings.NAMES
    ),
    f"POST {TASK}/overrule-review": lambda scene: scene.send(
        "POST", f"/tasks/{test_overruled_reviews.refused(scene.world).id}/overrule-review", reason="It greets as agreed"
    ),
    "POST /api/task-groups": Scene.group_tasks,
    f"POST {GROUP}/deploy-staging": lambda scene: scene.of_group("deploy-staging"),
    f"POST {GROUP}/deploy-production": Scene.to_production,
    f"POST {GROUP}/cancel": lambda scene: scene.of_group("cancel"),
    f"POST {GROUP}/remove": lambda scene: scene.of_group("remove"),
    f"POST {GROUP}/retry": lambda scene: scene.of_group("retry", state="failed"),
    "POST /api/deployments/<id:deployment_id>/rollback": Scene.roll_back,
}

NOT_RECORDED = {
    "POST /api/auth/logout": "ends the caller's own login, which the list of sessions shows",
    "DELETE /api/sessions": "ends the caller's own logins",
    "DELETE /api/sessions/<id:session_id>": "ends a login of the caller's own",
    "POST /api/model-providers/<id:provider_id>/test": "changes nothing",
    "POST /api/webhook/test": "changes nothing",
    "POST /api/webhook/deliveries/<id:delivery_id>/retry": "sends a notice again, which the delivery itself shows",
    f"DELETE {TASK}/review": "a draft is seen by its author alone",
    f"POST {TASK}/review/comments": "a draft is seen by its author alone",
    f"PATCH {TASK}/review/comments/<id:comment_id>": "a draft is seen by its author alone",
    f"DELETE {TASK}/review/comments/<id:comment_id>": "a draft is seen by its author alone",
    "POST /api/deployments/<id:deployment_id>/visit": "changes nothing",
}


def writing_operations(app: Flask) -> set[str]:
    return {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        if (ruled := rule_of(app, rule.endpoint)) is not None and ruled.is_for_people
        for method in (rule.methods or set()) - SAFE_METHODS
    }


def test_each_operation_of_people_that_writes_is_listed(plain_app: Flask) -> None:
    assert writing_operations(plain_app) == {*RECORDED, *NOT_RECORDED}
    assert not RECORDED.keys() & NOT_RECORDED.keys()


@pytest.mark.parametrize("operation", RECORDED)
def test_who_did_it_is_on_record(plain_world: World, operation: str) -> None:
    scene = Scene(plain_world)

    reply = RECORDED[operation](scene)

    assert reply.status_code < 300, reply.json
    request_id = reply.headers["X-Request-ID"]
    recorded = all_of(EventRow, EventRow.request_id == request_id)
    assert recorded != []
    assert {row.actor for row in recorded} == {"ada"}
