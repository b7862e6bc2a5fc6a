"""Tasks as a person has them: written, changed, found, cancelled."""

from __future__ import annotations

import pytest

from tests.e2e.contract.caller import NOWHERE, UUID7, Caller, check_time, faults
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


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""), ("title", "a\x00b"), ("priority", "huge"), ("description", 5), ("projectId", NOWHERE),
        ("dependsOn", [NOWHERE]), ("labels", [1]), ("requiredCapabilities", [""]), ("limits", {"maxRoubles": 1}),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(platform: Platform, admin: Caller, field: str, value: object) -> None:
    body = {
        "projectId": platform.project()["id"],
        "title": "x",
        "requiredCapabilities": ["nobody-has-this"],
        field: value,
    }

    reply = admin.send("POST", "/tasks", json=body)

    if (field, value) == ("projectId", NOWHERE) and reply.status_code == 404:
        return  # "Nothing outside the caller's reach exists": either says so.
    assert reply.status_code == 400, reply.text
    assert {name.split(".")[0].split("[")[0] for name in faults(reply.json())} == {field}


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


@pytest.mark.parametrize("state", ["approved", "ready_to_test", "production"])
def test_a_state_that_cannot_be_reached_is_a_409_that_names_the_present_one(
    platform: Platform, admin: Caller, state: str
) -> None:
    task = platform.new_task(platform.project())

    reply = admin.patch(f"/tasks/{task['id']}", {"state": state}, 409)

    assert "backlog" in reply["details"]["message"]
    assert platform.task(task["id"])["state"] == "backlog"
    assert set(faults(admin.patch(f"/tasks/{task['id']}", {"state": "nonsense"}, 400))) == {"state"}


def test_acts_out_of_their_state_are_409s(platform: Platform, admin: Caller) -> None:
    task = platform.new_task(platform.project())
    path = f"/tasks/{task['id']}"

    for act, body in [("approve", {}), ("reject", {"reason": "x"}), ("retry", {})]:
        assert "backlog" in admin.post(f"{path}/{act}", body, 409)["details"]["message"]
    assert faults(admin.post(f"{path}/reject", {}, 400)) == {"reason": "Required"}
    assert faults(admin.post(f"{path}/respond", {}, 400)) == {"questionId": "Required", "response": "Required"}
    admin.post(f"{path}/respond", {"questionId": f"q-{NOWHERE}", "response": "x"}, 404)


def test_comments_and_the_timeline(platform: Platform, admin: Caller) -> None:
    task = platform.new_task(platform.project())
    reply = admin.send(
        "POST", f"/tasks/{task['id']}/comments", json={"body": "Mind the gap", "path": "a.py", "line": 3}
    )
    assert reply.status_code in {200, 201}, reply.text
    assert faults(admin.post(f"/tasks/{task['id']}/comments", {}, 400)) == {"body": "Required"}
    admin.patch(f"/tasks/{task['id']}", {"title": "Other"})
    admin.post(f"/tasks/{task['id']}/cancel")

    (comment,) = platform.task(task["id"])["comments"]
    timeline = admin.get(f"/tasks/{task['id']}/events")

    assert set(comment) >= {"id", "kind", "parentId", "author", "body", "path", "line", "createdAt", "deliveredAt"}
    assert (comment["body"], comment["path"], comment["line"], comment["deliveredAt"]) == (
        "Mind the gap",
        "a.py",
        3,
        None,
    )
    assert timeline.keys() >= {"events", "lastSeq"}
    names = [event["event"] for event in timeline["events"]]
    assert names[0] == "task:created"
    assert names[-1] == "task:status_changed"
    assert "task:updated" in names
    for event in timeline["events"]:
        assert set(event) == {"event", "data", "projectId", "seq", "at", "actor"}
        check_time(event["at"])
    seqs = [event["seq"] for event in timeline["events"]]
    assert seqs == sorted(seqs)


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
