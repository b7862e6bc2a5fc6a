"""Tasks as a person has them: written, changed, found, cancelled."""

from __future__ import annotations

import pytest

from tests.e2e.contract.caller import UUID7, Caller, check_time, faults
from tests.e2e.contract.platform import Platform, eventually

LISTED = {
    "id", "projectId", "title", "description", "state", "priority", "assignedAgentId", "branchName", "prNumber",
    "prUrl", "previewUrl", "createdAt", "phase", "round", "headSha", "labels", "rolledBackAt", "parked",
    "error",
}  # fmt: skip
WHOLE = LISTED | {
    "questions", "project", "runs", "deployments", "checks", "comments", "dependsOn", "requiredCapabilities", "notes",
    "driver", "limits", "createdBy", "updatedAt",
}  # fmt: skip


@pytest.mark.usefixtures("agent")  # else it may say that none is there: those of other tests have fallen silent
def test_a_new_task_is_in_the_backlog(platform: Platform, admin: Caller) -> None:
    project = platform.project()
    body = {"projectId": project["id"], "title": "Implement feature X", "description": "Detailed…", "priority": "high"}

    task = admin.post("/tasks", {**body, "requiredCapabilities": ["nobody-has-this"], "labels": ["a"]}, 201)["task"]

    assert task.keys() >= LISTED
    assert {key: task[key] for key in body} == body
    assert (task["state"], task["assignedAgentId"], task["prNumber"], task["prUrl"], task["previewUrl"]) == (
        "backlog",
        None,
        None,
        None,
        None,
    )
    assert task["branchName"] == f"task-{task['id'].replace('-', '')[-8:]}-implement-feature-x"
    assert UUID7.fullmatch(task["id"])
    check_time(task["createdAt"])
    whole = admin.get(f"/tasks/{task['id']}")["task"]
    assert whole.keys() >= WHOLE
    assert whole["project"].items() >= {"name": project["name"], "giteaRepoUrl": project["giteaRepoUrl"]}.items()
    assert whole["questions"] == whole["runs"] == whole["deployments"] == whole["comments"] == []
    listed = admin.get("/tasks", projectId=project["id"], limit=1)["tasks"][0]
    assert listed == {key: task[key] for key in listed}
    assert listed.keys() == LISTED


def test_tasks_are_found_by_each_filter(platform: Platform, admin: Caller) -> None:
    project = platform.new_project()
    low = platform.new_task(project, title="Paint the shed", priority="low")
    high = platform.new_task(project, title="Feed 100% of the cats", description="Tuna", priority="high")
    admin.post(f"/tasks/{low['id']}/cancel")

    def found(**filters: object) -> list[str]:
        page = admin.get("/tasks", projectId=project["id"], **filters)
        assert page["total"] == len(page["tasks"])
        return [task["id"] for task in page["tasks"]]

    assert found(state="backlog") == [high["id"]]
    assert found(state="cancelled") == [low["id"]]
    assert found(priority="low") == [low["id"]]
    assert found(q="shed") == [low["id"]]
    assert found(q="SHED") == [low["id"]]
    assert found(q="100%") == [high["id"]]
    assert found(q="%") == [high["id"]]
    assert found(q="_") == []
    assert found(state="backlog", priority="low") == []
    assert found(assignedAgentId="agent-000000000000") == []
    for wrong in ({"state": "x"}, {"priority": "x"}, {"projectId": "x"}, {"mystery": "x"}):
        reply = admin.send("GET", "/tasks", params=wrong)
        if reply.status_code == 200:
            assert "projectId" in wrong
            assert reply.json()["total"] == 0
        else:
            assert set(faults(reply.json())) == set(wrong)


def test_a_task_waits_for_what_it_depends_on(platform: Platform, admin: Caller) -> None:
    agent = platform.agent(slots=2)
    project = platform.new_project()
    first = platform.new_task(project, agent, priority="low")
    second = platform.new_task(project, agent, dependsOn=[first["id"]], priority="urgent")

    run = agent.claim()

    assert run.claim["task"]["id"] == first["id"]
    assert agent.try_claim(2) is None
    assert platform.task(second["id"])["state"] == "backlog"
    assert [task["id"] for task in admin.get("/tasks", assignedAgentId=agent.id)["tasks"]] == [first["id"]]
    admin.post(f"/tasks/{first['id']}/cancel")
    eventually("the run to end", lambda: admin.get(f"/runs/{run.id}")["run"]["state"] == "ended")
