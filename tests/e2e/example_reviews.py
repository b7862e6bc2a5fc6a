"""The parts of the story of the API's examples in which people and an agent review a task's work."""

from __future__ import annotations

from typing import Any

from tests.e2e.contract.caller import Caller
from tests.e2e.contract.fake_agent import FakeAgent
from tests.e2e.contract.platform import Platform, eventually

Json = Any


def review_by_a_person(me: Caller, platform: Platform, path: str) -> None:
    """path: of the task."""
    me.get(f"{path}/file", path="greeting.txt", firstLine=1, lastLine=40)
    head = platform.admin.get(path)["task"]["headSha"]
    said = {"path": "greeting.txt", "line": 1, "side": "new", "commitSha": head, "body": "Too short"}
    comment = me.post(f"{path}/review/comments", said, 201)["comment"]
    me.patch(f"{path}/review/comments/{comment['id']}", {"body": "A little short"})
    me.get(f"{path}/review")
    me.delete(f"{path}/review/comments/{comment['id']}", 204)
    platform.admin.post(f"{path}/review/comments", said, 201)
    me.delete(f"{path}/review", 204)
    me.post(f"{path}/review/submit", {"verdict": "comment", "body": "I read the rest tomorrow"})
    said = platform.admin.get(path)["task"]["comments"][-1]
    me.patch(f"{path}/comments/{said['id']}", {"resolved": True})


def review_by_an_agent(me: Caller, platform: Platform, agent: FakeAgent, task: Json) -> None:
    """The task is the agent's next one, and its project has no review of its own."""
    path = f"/projects/{task['projectId']}"
    platform.admin.patch(path, {"agentReview": {"mode": "blocking", "driver": "scripted"}})
    agent.claim().complete({"greeting.txt": "ciao\n"})
    review = agent.claim()
    remark = {"path": "greeting.txt", "line": 1, "body": "Formal would be *buongiorno*."}
    said = {"verdict": "request_changes", "summary": "It greets too informally.", "comments": [remark]}
    review.api.post(f"{review.path}/review", said)
    review.finish(commitSha=review.claim["clone"]["commit"])
    eventually("the work to be refused", lambda: platform.task(task["id"])["round"] == 2)
    me.post(f"/tasks/{task['id']}/overrule-review", {"reason": "Informal is what we want"})
    platform.wait_task(task["id"], "ready_to_test")
    platform.admin.post(f"/tasks/{task['id']}/cancel")
    platform.admin.patch(path, {"agentReview": None})
