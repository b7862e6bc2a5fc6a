"""One task's whole way, driven against a fresh instance through HTTP and the WebSocket only: `make demo`.

Each step prints what it saw; the first that does not hold ends it with exit status 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.e2e import receipts
from tests.e2e.client import Client, Listener
from tests.e2e.instance import Instance, running, wait_until
from tests.e2e.models import KEYS, SCRIPTED_MODELS, is_scripted, provider_of_demo
from tests.e2e.origin import HISTORY, served_repository
from tests.e2e.story_tasks import BAD, FIRST, REASON, REMARK, RIVAL, SECOND, StoryTask
from tests.long_waits import LONG_WAIT_SECONDS
from tests.providers.git_work_tree import git

EVENTS = {
    "project:status_changed", "task:created", "task:status_changed", "task:updated", "task:needs_input",
    "question:answered", "agent:status", "task-group:status_changed", "deploy:started", "deploy:completed",
    "deploy:failed",
}  # fmt: skip


def body_of(url: str) -> str:
    reply = requests.get(url, timeout=LONG_WAIT_SECONDS)
    assert reply.status_code == 200, f"{url} answers {reply.status_code}"
    return reply.text.strip()


class Story:
    """The steps, in order; each leaves what the next ones need. driver, model: of the tasks; None: the platform's."""

    def __init__(
        self,
        instance: Instance,
        import_url: str,
        *,
        driver: str | None = None,
        model: str | None = None,
        quiet: bool = False,
    ) -> None:
        self.instance = instance
        self.driver = driver
        self._chosen = {"driver": driver, "model": model} if driver else {}
        self.import_url = import_url
        self.api = Client(instance.url, "")
        self.events: Listener | None = None
        self.project: dict[str, Any] = {}
        self._quiet = quiet
        self._began = time.monotonic()

    def say(self, what: str, saw: str = "") -> None:
        if not self._quiet:
            print(f"{time.monotonic() - self._began:6.1f} s  {what:<58} {saw}", flush=True)

    @property
    def heard(self) -> Listener:
        assert self.events is not None, "nobody listens yet"
        return self.events

    def log_in(self) -> None:
        login = Client.login(self.instance.url, "admin", self.instance.password)
        self.api = Client(self.instance.url, login.api_token())
        health: dict[str, Any] = {}

        def is_well() -> bool:
            health.update(self.api.get("/health"))
            return bool(health["status"] == "ok")

        # It answers before its supervisor does.
        wait_until("the platform to be well", is_well)
        self.say("Logged in as admin", f"backends {', '.join(sorted(set(health['backends'].values())))}")

    def import_project(self, **others: Any) -> None:
        """others: fields of the project that are to be different from the story's."""
        self.project = self.api.post(
            "/projects",
            {
                "name": "Greeter", "importUrl": self.import_url, "testCommand": "python3 -m unittest -q",
                "healthSeconds": {"preview": 0, "staging": 2, "production": 2}, **others,
            },
            201,
        )["project"]  # fmt: skip
        self.events = Listener(self.instance.url, self.api.token, self.project["id"])
        self.heard.wait(
            "the project to be active",
            lambda event: event["event"] == "project:status_changed" and event["data"]["newStatus"] == "active",
        )
        commits = self._clone_log()
        assert commits[: len(HISTORY)] == [message for message, _files in HISTORY], commits
        self.say("Project imported, its history kept", f"{len(commits)} commits: {', '.join(commits)}")

    def _clone_log(self) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            git("clone", "--quiet", self.clone_url(), f"{folder}/clone")
            return git("log", "--reverse", "--format=%s", at=Path(folder) / "clone").splitlines()

    def clone_url(self) -> str:
        """Where the story's own git finds the repository, and is let in."""
        address = urlsplit(self.project["giteaRepoUrl"])
        return f"http://x:{self.api.token}@{urlsplit(self.instance.url).netloc}{address.path}.git"

    def look(self, who: str, url: str, expected: str) -> str:
        """What the page says, which is to be what is expected."""
        saw = body_of(url)
        assert saw == expected, f"{who} says {saw!r}, not {expected!r}"
        return saw

    def give(self, task: StoryTask) -> str:
        """Write one of the story's tasks, as the driver understands it."""
        return self.write_task(task.title, task.sentence if self.driver else task.steps)

    def write_task(self, title: str, description: str) -> str:
        wanted = {"projectId": self.project["id"], "title": title, "description": description, "priority": "high"}
        task = self.api.post("/tasks", wanted | self._chosen, 201)["task"]
        self.say("Task written", f"{task['title']!r}, branch {task['branchName']}")
        return str(task["id"])

    def answer(self, task_id: str, response: str) -> None:
        asked = self.heard.wait(
            "the agent's question",
            lambda event: event["event"] == "task:needs_input" and event["data"]["taskId"] == task_id,
        )["data"]
        self.say("The agent asks", asked["question"])
        task = self.api.get(f"/tasks/{task_id}")["task"]
        assert task["state"] == "needs_input", task["state"]
        assert task["questions"][0]["status"] == "pending", task["questions"]
        reply = self.api.post(f"/tasks/{task_id}/respond", {"questionId": asked["questionId"], "response": response})
        assert reply["success"] is True, reply
        assert reply["question"]["status"] == "answered", reply
        self.say("Answered", response)

    def wait_ready(self, task_id: str, expected: str, *, after: int = 0) -> int:
        """The task is proven and its preview says what is expected. Returns the event's seq."""
        event = self.heard.wait_state(task_id, "ready_to_test", after=after)
        task = self.api.get(f"/tasks/{task_id}")["task"]
        failed = [check for check in task["checks"] if check["status"] not in {"passed", "skipped"}]
        assert not failed, failed
        self.say("Proven", ", ".join(f"{check['name']} {check['status']}" for check in task["checks"]))
        saw = self.look("the preview", event["data"]["previewUrl"], expected)
        assert task["previewUrl"] == event["data"]["previewUrl"]
        diff = self.api.get(f"/tasks/{task_id}/diff")
        assert any(file["path"] == "greeting.txt" for file in diff["files"]), diff["files"]
        self.say(f"Ready to test: pull request {task['prNumber']}, preview", f"{task['previewUrl']} says {saw!r}")
        return int(event["seq"])

    def reject(self, task_id: str, reason: str) -> None:
        comment = {"path": "greeting.txt", "line": 1, "body": REMARK}
        task = self.api.post(f"/tasks/{task_id}/reject", {"reason": reason, "comments": [comment]})["task"]
        assert task["state"] == "in_progress", task
        self.say("Rejected", reason)

    def approve(self, task_id: str) -> None:
        task = self.api.post(f"/tasks/{task_id}/approve")["task"]
        assert task["state"] == "approved", task
        self.api.post(f"/tasks/{task_id}/approve", status=409)
        self.say("Approved", f"commit {task['headSha'][:12]}")

    def group(self, name: str, *task_ids: str) -> str:
        made = self.api.post(
            "/task-groups",
            {"projectId": self.project["id"], "taskIds": list(task_ids), "targetBranch": "staging", "name": name},
            201,
        )["taskGroup"]
        assert made["status"] == "pending", made
        self.say("Grouped", f"{made['stagingBranch']} of {len(task_ids)} task(s)")
        return str(made["id"])

    def deploy(self, group_id: str, environment: str, expected: str) -> str:
        """Bring the group to an environment whose page then says what is expected. Returns the deployment's id."""
        if environment == "production":
            self._wait_group(group_id, "staging")
        accepted = self.api.post(f"/task-groups/{group_id}/deploy-{environment}", status=202)
        assert accepted["job"]["kind"], accepted
        self._wait_group(group_id, environment)
        rows = self.api.get(f"/deployments?projectId={self.project['id']}&environment={environment}&status=completed")
        deployment = rows["deployments"][0]
        saw = self.look(environment, deployment["url"], expected)
        self.say(f"On {environment}", f"{deployment['url']} says {saw!r}")
        return str(deployment["id"])

    def see_conflict(self, group_id: str, task_id: str) -> None:
        """The task was taken out of the group, which went on without it, and is back with its agent."""
        self._wait_group(group_id, "merged")
        group = self.api.get(f"/task-groups/{group_id}")["taskGroup"]
        problem = next(problem for problem in group["problems"] if problem["taskId"] == task_id)
        assert (problem["kind"], problem["files"]) == ("conflict", ["greeting.txt"]), problem
        assert task_id not in group["taskIds"], group
        assert self.api.get(f"/tasks/{task_id}")["task"]["state"] == "in_progress"
        self.say("A conflict is handed back, the rest goes on", f"{problem['kind']} in {', '.join(problem['files'])}")

    def see_taken_back(self, group_id: str, expected: str) -> None:
        """The release, which is bad only from here on, fails its health check on staging, which goes on as it was."""
        self.api.patch(f"/projects/{self.project['id']}", {"envVars": {"COUNT_VISITORS": "yes"}})
        self.api.post(f"/task-groups/{group_id}/deploy-staging", status=202)
        failed = self.heard.wait("the bad release to fail", lambda event: event["event"] == "deploy:failed")["data"]
        staging = self.api.get(f"/deployments?projectId={self.project['id']}&environment=staging&status=completed")
        saw = self.look("staging", staging["deployments"][0]["url"], expected)
        self.say("A bad release is taken back", failed["error"].splitlines()[0][:60])
        self.say("Staging never noticed", f"it says {saw!r}")

    def give_up(self, group_id: str, task_id: str) -> None:
        group = self.api.post(f"/task-groups/{group_id}/cancel")["taskGroup"]
        task = self.api.post(f"/tasks/{task_id}/cancel")["task"]
        assert (group["status"], task["state"]) == ("cancelled", "cancelled")
        self.say("Given up", f"{group['stagingBranch']} and its task")

    def _wait_group(self, group_id: str, status: str) -> None:
        def reached(event: Any) -> bool:
            about = event["data"]
            is_this = event["event"] == "task-group:status_changed" and about["taskGroupId"] == group_id
            assert not is_this or about["newStatus"] not in {"failed", "conflict"}, self.api.get(
                f"/task-groups/{group_id}"
            )
            return is_this and about["newStatus"] == status

        self.heard.wait(f"the group to reach {status}", reached)

    def still_shows(self, task_id: str) -> None:
        """What a delivered task changed can be looked at for ever."""
        self.heard.wait(
            "its preview to go",
            lambda event: (
                event["event"] == "task:updated"
                and event["data"]["taskId"] == task_id
                and "previewUrl" in event["data"]["changed"]
            ),
        )
        files = [file["path"] for file in self.api.get(f"/tasks/{task_id}/diff")["files"]]
        assert files == ["greeting.txt", "language.txt"], files
        task = self.api.get(f"/tasks/{task_id}")["task"]
        assert (task["state"], task["previewUrl"]) == ("production", None), task
        self.say("Delivered; its preview is gone, its diff stays", ", ".join(files))

    def roll_back(self, deployment_id: str, expected: str) -> None:
        reply = self.api.post(f"/deployments/{deployment_id}/rollback", status=202)
        assert reply["success"] is True, reply
        new = reply["rollbackDeploymentId"]
        self.heard.wait(
            "the rollback to be live",
            lambda event: event["event"] == "deploy:completed" and event["data"]["deploymentId"] == new,
        )
        deployment = self.api.get(f"/deployments/{new}")["deployment"]
        assert self.api.get(f"/deployments/{deployment_id}")["deployment"]["status"] == "rolled_back"
        saw = self.look("production", deployment["url"], expected)
        self.say("Rolled back", f"{deployment['url']} says {saw!r} again")

    def check_record(self) -> None:
        """What was heard live is what is on record, and every kind of event came."""
        heard = [event for event in self.heard.events if "seq" in event]
        missing = EVENTS - self.heard.names()
        assert not missing, f"never heard of {missing}"
        rows: list[Any] = []
        while page := self.api.get(f"/events?projectId={self.project['id']}&afterSeq={len(rows)}&limit=200")["events"]:
            rows += page
        keys = ("event", "data", "seq", "at", "projectId")
        assert [[row[key] for key in keys] for row in rows[: len(heard)]] == [
            [event[key] for key in keys] for event in heard
        ], "what was heard differs from what is on record"
        self.say("Every event heard once and in order", f"{len(heard)} events of {len(EVENTS)} kinds")

    def check_receipts(self) -> None:
        """Whatever was in production is vouched for, and that can be checked without this platform."""
        wanted = f"projectId={self.project['id']}&environment=production&limit=100"
        rows = [row for row in self.api.get(f"/deployments?{wanted}")["deployments"] if row["version"]]
        commits = {str(row["commitSha"]) for row in rows}
        receipts.check_receipts(self.instance, self.clone_url(), commits, amount=len(rows))
        self.say(
            "Receipts verify elsewhere, a flipped byte does not", f"{len(rows)} receipts of {len(commits)} commits"
        )

    def close(self) -> None:
        if self.events is not None:
            self.events.close()
        self.api.close()


def tell_first(story: Story) -> None:
    """The whole way of one task, with a question and a rejection."""
    story.log_in()
    story.import_project()
    first = story.give(FIRST)
    story.answer(first, "Spanish")
    seq = story.wait_ready(first, "hola")
    story.reject(first, REASON)
    story.wait_ready(first, "hola, bienvenida", after=seq)
    story.approve(first)
    group = story.group("Sprint 1", first)
    story.deploy(group, "staging", "hola, bienvenida")
    story.deploy(group, "production", "hola, bienvenida")
    story.still_shows(first)


def tell(story: Story) -> None:
    """The whole way of two tasks."""
    tell_first(story)
    second = story.give(SECOND)
    rival = story.give(RIVAL)
    story.wait_ready(second, "buenos dias")
    seq = story.wait_ready(rival, "buenas noches")
    story.approve(second)
    story.approve(rival)
    group = story.group("Sprint 2", second, rival)
    story.see_conflict(group, rival)
    story.deploy(group, "staging", "buenos dias")
    story.deploy(group, "production", "buenos dias")
    story.wait_ready(rival, "buenas noches", after=seq)
    story.approve(rival)
    group = story.group("Sprint 3", rival)
    story.deploy(group, "staging", "buenas noches")
    live = story.deploy(group, "production", "buenas noches")
    bad = story.give(BAD)
    story.heard.wait_state(bad, "ready_to_test")
    story.approve(bad)
    group = story.group("Sprint 4", bad)
    story.see_taken_back(group, "buenas noches")
    story.give_up(group, bad)
    story.roll_back(live, "buenos dias")
    story.check_record()
    story.check_receipts()


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description="From a sentence to production.")
    parser.add_argument("--driver", choices=["scripted", *KEYS], help="the coding CLI that does the work")
    driver = parser.parse_args().driver
    with (
        tempfile.TemporaryDirectory(prefix="aiworker-demo-") as name,
        served_repository(Path(name)) as address,
        provider_of_demo(driver) as environ,
    ):
        print("Starting an instance of its own …", flush=True)
        with running(Path(name), AIWORKER_IMPORT_ALLOW=urlsplit(address).netloc, **environ) as instance:
            model = SCRIPTED_MODELS.get(driver or "") if is_scripted(environ) else None
            story = Story(instance, address, driver=None if driver == "scripted" else driver, model=model)
            try:
                tell(story)
            except AssertionError as error:
                print(f"FAILED: {error}\n\n{instance.said()}", file=sys.stderr)
                return 1
            finally:
                story.close()
            status = instance.stop()
            story.say("Stopped", f"exit status {status}")
            print("Every step held." if status == 0 else "It did not stop cleanly.")
            return status


if __name__ == "__main__":
    sys.exit(main())
