"""A task with a run whose agent is the test itself, for what the page shows of an agent at work."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from tests.e2e.browser import Person
from tests.e2e.contract.caller import Caller
from tests.e2e.contract.fake_agent import FakeAgent, FakeRun
from tests.e2e.instance import wait_until


class ScriptedRun:
    """A run of a task whose agent says what a test wants, numbered as a runner numbers it."""

    def __init__(self, api: Caller, folder: Path, title: str) -> None:
        project = api.post("/projects", {"name": title}, 201)["project"]
        wait_until(
            "the project to be active",
            lambda: api.get(f"/projects/{project['id']}")["project"]["status"] == "active",
        )
        agent = FakeAgent(api, folder)
        body = {"projectId": project["id"], "title": title, "requiredCapabilities": [agent.capability]}
        self.task = api.post("/tasks", body, 201)["task"]
        self.run: FakeRun = agent.claim()
        self._numbers = itertools.count(1)

    def say(self, *lines: dict[str, Any]) -> None:
        numbered = [{"level": "info", "message": "", "number": next(self._numbers), **line} for line in lines]
        self.run.api.post(f"{self.run.path}/logs", {"lines": numbered})

    def look(self, person: Person) -> None:
        person.page.goto(f"{person.url}/#/projects/{self.task['projectId']}/tasks/{self.task['id']}")
        person.page.reload()
        person.wait("transcript-count")
        # An event from before that would reach no page. What its socket brings is heard while it is asked something.
        wait_until("a subscription", lambda: person.page.evaluate("true") and self.task["projectId"] in person.follows)
        person.page.get_by_role("log").scroll_into_view_if_needed()
