"""The story of every operation of the API, which `make examples` records.

What is called through `me` is recorded, once for each operation; `platform` does in between what is to be no example.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import Any

import requests

from tests.e2e.contract.caller import Caller
from tests.e2e.contract.fake_agent import FakeAgent, FakeRun
from tests.e2e.contract.platform import NO_WAITING, PASSWORD, Platform, eventually
from tests.e2e.example_reviews import review_by_a_person, review_by_an_agent
from tests.e2e.example_tests import KEPT, LUCK
from tests.long_waits import LONG_WAIT_SECONDS
from tests.made_secrets import github_token
from tests.web.gateway.upstream import Script, Upstream

Json = Any

MODEL = "claude-haiku-4-5"
ANSWER = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "stop_reason": "end_turn",
    "content": [{"type": "text", "text": "OK"}], "usage": {"input_tokens": 1840, "output_tokens": 260},
}  # fmt: skip


class Teller:
    """The parts of the story, each on its own but for what is in `project` and `agent`."""

    def __init__(self, platform: Platform, me: Caller, provider: Upstream) -> None:
        self.platform = platform
        self.me = me
        self.provider = provider
        self.project: Json = {}
        self.agent = FakeAgent(me, platform.folder)

    def tell(self) -> None:
        self.people()
        self.models()
        self.projects()
        first = self.first_task()
        self.release(first)
        self.going_back()
        self.other_ways()
        self.lost_tests()
        self.flaky_tests()
        review_by_an_agent(self.me, self.platform, self.agent, self.new_task("Greet in Italian"))
        self.seldom()
        self.webhook()
        self.end()

    def people(self) -> None:
        me, anybody = self.me, self.me.bearing(None)
        for path in ("/health", "/health/live", "/health/ready"):
            anybody.get(path)
        me.get("/auth/me")
        user = me.post("/users", {"username": "ana", "password": PASSWORD, "role": "member"}, 201)["user"]
        me.get("/users", limit=2)
        me.patch(f"/users/{user['id']}", {"role": "maintainer"})
        login = anybody.post("/auth/login", {"username": "ana", "password": PASSWORD})
        login = anybody.post("/auth/refresh", {"refreshToken": login["refreshToken"]})
        ana = anybody.bearing(login["accessToken"])
        new = anybody.bearing(
            ana.post("/auth/password", {"current": PASSWORD, "new": "staple battery horse"})["accessToken"]
        )
        anybody.post("/auth/login", {"username": "ana", "password": "staple battery horse"})
        (elsewhere,) = [one for one in new.get("/sessions", limit=2)["sessions"] if not one["isCurrent"]]
        new.delete(f"/sessions/{elsewhere['id']}", 204)
        new.delete("/sessions", 204)
        new.post("/auth/logout", status=204)
        token = me.post("/tokens", {"name": "nightly", "role": "member"}, 201)["token"]
        me.get("/tokens", limit=2)
        me.delete(f"/tokens/{token['id']}", 204)
        me.get("/enrolment-tokens", limit=2)
        spare = me.post("/agents/enrolment-tokens", status=201)["enrolmentToken"]
        me.delete(f"/enrolment-tokens/{spare['id']}", 204)
        self.user = user

    def models(self) -> None:
        random_text = {"name": "main", "api": "anthropic", "baseUrl": self.provider.url, "key": "sk-example-key"}
        provider = self.me.post("/model-providers", random_text, 201)["modelProvider"]
        self.provider.script = Script([json.dumps(ANSWER).encode()])
        self.me.patch(f"/model-providers/{provider['id']}", {"models": [MODEL]})
        self.me.get(f"/model-providers/{provider['id']}")
        self.me.get("/model-providers")
        self.me.post(f"/model-providers/{provider['id']}/test", {"model": MODEL})
        spare = self.platform.admin.post("/model-providers", {**random_text, "name": "spare"}, 201)["modelProvider"]
        self.me.delete(f"/model-providers/{spare['id']}", 204)
        self.me.patch("/caps", {"day": {"costUsd": 50}})
        self.me.get("/caps")

    def projects(self) -> None:
        me, platform = self.me, self.platform
        random_text = {
            "name": "Shop", "importUrl": platform.import_url, "testCommand": "python3 -m unittest -q",
            "healthSeconds": NO_WAITING, "forbiddenPaths": ["*.pem", "test_*.py"],
            # Measured, a check would be there or not yet, as time goes.
            "coverage": "read",
            "limits": {"maxMinutes": 60, "maxTokens": 2_000_000, "maxCostUsd": 5},
            "caps": {"task": {"runs": 20, "minutes": 240}, "day": {"tokens": 20_000_000}, "total": {"costUsd": 900}},
            "questionRules": {
                "remindMinutes": 30, "escalateTo": "ana", "deadlineMinutes": 240, "onDeadline": "default",
            },
        }  # fmt: skip
        self.project = me.post("/projects", random_text, 201)["project"]
        platform.wait_project(self.project["id"], "active")
        path = f"/projects/{self.project['id']}"
        me.patch(path, {"description": "What customers see", "maxParallelTasks": 3})
        me.get(path)
        me.get("/projects", limit=2)
        me.get("/forge/repositories", q="shop")
        me.get(f"{path}/forbidden-paths", pattern="test_*.py")
        me.put(f"{path}/members/{self.user['id']}", {"role": "member"})
        me.get(f"{path}/members")
        me.delete(f"{path}/members/{self.user['id']}", 204)
        broken = platform.admin.post(
            "/projects", {"name": "Broken", "importUrl": f"{platform.import_url}-missing"}, 201
        )["project"]  # fmt: skip
        platform.wait_project(broken["id"], "failed")
        me.post(f"/projects/{broken['id']}/retry")
        platform.wait_project(broken["id"], "failed")
        me.get("/jobs", kind="project.provision", limit=2)
        (job, *_) = platform.admin.get("/jobs", state="done", projectId=broken["id"])["jobs"]
        me.get(f"/jobs/{job['id']}")
        self.fail(job["id"])
        me.post(f"/jobs/{job['id']}/retry")
        platform.wait_project(broken["id"], "failed")
        me.delete(f"/projects/{broken['id']}", 202)

    def fail(self, job_id: str) -> None:
        """Make a job one that was given up, as a fault that lasts for hours does."""
        with contextlib.closing(
            sqlite3.connect(self.platform.folder / "data" / "aiworker.db", timeout=LONG_WAIT_SECONDS)
        ) as database:
            database.execute("UPDATE jobs SET state = 'failed', error = 'gave up' WHERE id = ?", (job_id,))
            database.commit()

    def new_task(self, title: str, *, by: Caller | None = None, **more: Json) -> Json:
        body = {
            "projectId": self.project["id"], "title": title, "requiredCapabilities": [self.agent.capability], **more,
        }  # fmt: skip
        return (by or self.platform.admin).post("/tasks", body, 201)["task"]

    def claim(self, task: Json) -> FakeRun:
        run = self.agent.claim()
        assert run.claim["task"]["id"] == task["id"], run.claim
        return run

    def done(self, title: str, files: dict[str, str]) -> Json:
        """A task that is approved."""
        task = self.new_task(title)
        self.claim(task).complete(files)
        self.platform.wait_task(task["id"], "ready_to_test")
        return self.platform.admin.post(f"/tasks/{task['id']}/approve")["task"]

    def call_model(self, run: FakeRun, status: int = 200) -> None:
        models = run.claim["models"]
        reply = requests.post(
            f"{models['addresses']['anthropic']}/v1/messages",
            headers={"x-api-key": models["token"]},
            json={"model": MODEL, "max_tokens": 500, "messages": [{"role": "user", "content": "Go on"}]},
            timeout=LONG_WAIT_SECONDS,
        )
        assert reply.status_code == status, reply.text

    def first_task(self) -> Json:
        me = self.me
        self.new_task("Translate the imprint", labels=["texts"], requiredCapabilities=["nobody-has-this"])
        task = self.new_task(
            "Greet in Spanish", by=me, description="The page says hello; let it greet in Spanish.",
            priority="high", labels=["texts"], caps={"costUsd": 2},
        )  # fmt: skip
        path = f"/tasks/{task['id']}"
        me.patch(path, {"notes": "Asked for by the shop in Madrid"})
        file = me.call(
            "POST", f"{path}/attachments?name=tone.txt", 201, data=b"Warm, not loud.\n",
            headers={"Content-Type": "text/plain"},
        ).json()["attachment"]  # fmt: skip
        run = self.claim(task)
        self.work(run, path, file["id"])
        self.ask(run, path)
        run.complete({"greeting.txt": "hola\nadios\n"})
        self.platform.wait_task(task["id"], "ready_to_test")
        self.look(path, run)
        review_by_a_person(me, self.platform, path)
        rival = self.new_task("Greet louder")
        self.claim(rival).complete({"greeting.txt": "HELLO\n"})
        self.platform.wait_task(rival["id"], "ready_to_test")
        me.get("/board", projectId=self.project["id"])
        self.platform.admin.post(f"/tasks/{rival['id']}/cancel")
        comment = {"path": "greeting.txt", "startLine": 1, "line": 2, "side": "new", "body": "Welcome them, too"}
        me.post(f"{path}/reject", {"reason": "A little short", "comments": [comment]})
        again = self.claim(task)
        again.api.get(f"{again.path}/feedback")
        again.api.call("GET", f"{again.path}/session", 200)
        again.complete({"greeting.txt": "hola, bienvenida\n"})
        self.platform.wait_task(task["id"], "ready_to_test")
        me.delete(f"{path}/attachments/{file['id']}", 204)
        return me.post(f"{path}/approve")["task"]

    def work(self, run: FakeRun, path: str, attachment_id: str) -> None:
        me = self.me
        run.api.get(f"{run.path}/task")
        run.api.get(f"{run.path}/tasks")
        me.get(f"{path}/attachments")
        me.call("GET", f"{path}/attachments/{attachment_id}", 200)
        run.api.call("GET", f"{run.path}/attachments/{attachment_id}", 200)
        lines = [
            {"level": "info", "kind": "text", "message": "I read greeting.txt first.", "number": 1},
            {
                "level": "info", "kind": "tool", "message": "Edit greeting.txt", "number": 2, "callId": "call-1",
                "details": {"name": "Edit", "input": {"file_path": "greeting.txt"}},
            },
        ]  # fmt: skip
        run.api.post(f"{run.path}/logs", {"lines": lines})
        run.api.post(f"{run.path}/progress", {"message": "Running the tests", "done": 1, "total": 2})
        run.api.post(f"{run.path}/usage", {"inputTokens": 1200, "outputTokens": 90, "cachedTokens": 0, "costUsd": 0.01})
        self.call_model(run)
        me.post(f"{path}/messages", {"text": "Keep it short, please."}, 201)
        run.api.get(f"{run.path}/messages", after=0, wait=0)
        wanted = [
            {"title": "Greet in Catalan", "description": "As in Spanish"},
            {"title": "Greet in Basque", "description": "As in Spanish"},
        ]
        accepted, dismissed = run.api.post(f"{run.path}/proposals", {"proposals": wanted}, 201)["proposals"]
        me.get(f"{path}/proposals")
        followed = me.post(f"{path}/proposals/{accepted['id']}/accept")["proposal"]
        me.post(f"{path}/proposals/{dismissed['id']}/dismiss")
        self.platform.admin.post(f"/tasks/{followed['createdTaskId']}/cancel")

    def ask(self, run: FakeRun, path: str) -> None:
        me = self.me
        asked = run.api.post(
            f"{run.path}/questions",
            {
                "question": "Formal or familiar?", "context": "Spanish has both", "options": ["formal", "familiar"],
                "defaultResponse": "familiar",
            },
            201,
        )["question"]  # fmt: skip
        me.get("/inbox", projectId=self.project["id"])
        me.post(f"{path}/respond", {"questionId": asked["id"], "response": "familiar"})
        run.api.get(f"{run.path}/questions/{asked['id']}", wait=5)
        run.api.call(
            "PUT", f"{run.path}/session", 204, data=b"a session", headers={"Content-Type": "application/octet-stream"}
        )

    def look(self, path: str, run: FakeRun) -> None:
        me = self.me
        me.post(f"{path}/comments", {"body": "Looks good on a phone"}, 201)
        me.call("GET", self.platform.picture_at(path), 200)
        me.get(path)
        me.get("/tasks", projectId=self.project["id"], state="ready_to_test", limit=20)
        me.get(f"{path}/diff")
        me.get(f"{path}/events", limit=2)
        me.get("/events", projectId=self.project["id"], afterSeq=0, limit=2)
        me.get(f"/runs/{run.id}")
        me.get(f"/runs/{run.id}/transcript", after=0)
        me.get("/agents", limit=2)
        me.get("/drivers")
        me.get(f"/agents/{self.agent.id}")
        me.get(f"/agents/{self.agent.id}/logs", limit=2)
        eventually("the call to be counted", lambda: self.platform.admin.get("/spend")["groups"])
        me.get("/spend", by="project")

    def release(self, task: Json) -> None:
        me, platform = self.me, self.platform
        group = me.post(
            "/task-groups", {"projectId": self.project["id"], "taskIds": [task["id"]], "name": "Sprint 1"}, 201
        )["taskGroup"]  # fmt: skip
        platform.wait_group(group["id"], "merged")
        me.post(f"/task-groups/{group['id']}/retry")
        platform.wait_group(group["id"], "merged")
        for part in ("release", "diff", "plan"):
            me.get(f"/task-groups/{group['id']}/{part}")
        (test, *_) = me.get(f"/task-groups/{group['id']}/train")["train"]["tests"]
        me.get(f"/task-groups/{group['id']}/tests/{test['id']}")
        me.post(f"/task-groups/{group['id']}/deploy-staging", status=202)
        platform.wait_group(group["id"], "staging")
        me.get(f"/task-groups/{group['id']}")
        me.get("/task-groups", projectId=self.project["id"], limit=2)
        me.post(f"/task-groups/{group['id']}/deploy-production", status=202)
        platform.wait_group(group["id"], "production")
        me.get("/deployments", projectId=self.project["id"], environment="production", limit=2)
        production, _staging = me.get(f"/projects/{self.project['id']}/environments")["environments"]
        me.get(f"/receipts/{production['live']['commitSha']}")
        me.get("/receipts/key")

    def going_back(self) -> None:
        me, platform = self.me, self.platform
        task = self.done("Greet in French", {"greeting.txt": "bonjour\n"})
        group = platform.new_group(self.project, task, name="Sprint 2")
        platform.wait_group(group["id"], "merged")
        platform.deploy(group["id"], "staging")
        live = platform.deploy(group["id"], "production")
        path = f"/deployments/{live['id']}"
        me.get(f"{path}/logs")
        me.post(f"{path}/visit")
        me.get(f"{path}/rollback")
        back = me.post(f"{path}/rollback", status=202)
        me.get(f"/deployments/{back['rollbackDeploymentId']}")

    def other_ways(self) -> None:
        me, platform = self.me, self.platform
        one = self.done("Say goodbye", {"goodbye.txt": "adios\n"})
        two = self.done("Say thanks", {"thanks.txt": "gracias\n"})
        group = platform.new_group(self.project, one, two, name="Sprint 3", acceptRolledBack=True)
        platform.wait_group(group["id"], "merged")
        me.post(f"/task-groups/{group['id']}/remove", {"taskId": two["id"]})
        platform.wait_group(group["id"], "merged")
        me.post(f"/task-groups/{group['id']}/cancel")
        me.post(f"/tasks/{two['id']}/cancel")
        failing = self.new_task("Sing")
        self.claim(failing).finish("failed", reason="There is no voice to sing with")
        platform.wait_task(failing["id"], "failed")
        me.post(f"/tasks/{failing['id']}/retry")
        platform.admin.post(f"/tasks/{failing['id']}/cancel")

    def lost_tests(self) -> None:
        """A task whose work has a token and drops tests, all of which a maintainer lets go."""
        me, platform = self.me, self.platform
        platform.admin.patch(f"/projects/{self.project['id']}", {"forbiddenPaths": [], "secretScan": "refuse"})
        task = self.new_task("Tidy the tests")
        path = f"/tasks/{task['id']}"
        self.claim(task).complete({"test_greeting.py": KEPT, "ci.txt": f"{github_token()}\n"})

        def names(code: str, part: int) -> list[str]:
            checks = platform.task(task["id"])["checks"]
            logs = [check["log"] for check in checks if check["code"] == code]
            return [line.partition(": ")[part] for line in logs[0].splitlines()] if logs else []

        eventually("the token to be found", lambda: names("secrets_found", 0))
        me.post(f"{path}/accept-findings", {"names": names("secrets_found", 0)})
        eventually("the loss to be seen", lambda: names("tests_lost", 2))
        me.post(f"{path}/accept-lost-tests", {"names": names("tests_lost", 2)})
        platform.wait_task(task["id"], "ready_to_test")
        me.get(f"{path}/tests", limit=2)
        platform.admin.post(f"{path}/cancel")

    def flaky_tests(self) -> None:
        """A task whose tests are red and green as chance has it, and one of them in quarantine."""
        task, path = self.new_task("Toss coins"), f"/projects/{self.project['id']}/tests"
        self.claim(task).complete({"test_luck.py": LUCK})
        flaky = eventually("a flaky test to be noted", lambda: self.me.get(path)["flaky"])
        self.me.post(f"{path}/quarantine", {"name": flaky[0]["name"], "days": 7, "reason": "It tosses a coin"})
        self.me.post(f"{path}/release", {"name": flaky[0]["name"]})
        self.me.post(f"{path}/test-base-again")
        self.platform.admin.post(f"/tasks/{task['id']}/cancel")

    def seldom(self) -> None:
        """A task that is taken over by hand, and one whose provider takes no calls."""
        me, platform = self.me, self.platform
        held = self.new_task("Write the imprint")
        run = self.claim(held)
        me.post(f"/tasks/{held['id']}/take-over")
        run.finish("cancelled")
        eventually("the run to be over", lambda: platform.task(held["id"])["phase"] == "held")
        me.post(f"/tasks/{held['id']}/hand-back", {"note": "The address was missing"})
        platform.admin.post(f"/tasks/{held['id']}/cancel")
        limited = self.new_task("Write the terms")
        run = self.claim(limited)
        refused = {"type": "error", "error": {"type": "rate_limit_error", "message": "Later"}}
        self.provider.script = Script([json.dumps(refused).encode()], 429, headers={"retry-after": "3600"})
        self.call_model(run, 400)
        run.finish("cancelled", cutShort=True)
        eventually("the task to be parked", lambda: platform.task(limited["id"])["phase"] == "parked")
        me.post(f"/tasks/{limited['id']}/resume")
        platform.admin.post(f"/tasks/{limited['id']}/cancel")

    def webhook(self) -> None:
        me = self.me
        me.patch("/webhook", {"url": f"{self.provider.url}/hook", "kinds": ["question", "review", "release"]})
        me.get("/webhook")
        me.post("/webhook/secret", status=201)
        self.provider.script = Script([b"away"], 503)
        sent = me.post("/webhook/test", status=202)["webhookDelivery"]
        path = f"/webhook/deliveries/{sent['id']}"
        eventually("the test to end", lambda: me.get(path)["webhookDelivery"]["state"] == "given_up")
        me.get("/webhook/deliveries", limit=2)
        self.provider.script = Script([b"ok"])
        me.post(f"{path}/retry")
        me.patch("/webhook", {"enabled": False})

    def end(self) -> None:
        me = self.me
        me.post(f"/agents/{self.agent.id}/drain")
        eventually("the agent to be free", lambda: me.call("DELETE", f"/agents/{self.agent.id}", 204) is not None)
        me.delete(f"/users/{self.user['id']}", 204)
        me.post("/projects/sample", status=201)
