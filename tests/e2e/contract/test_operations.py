"""Health, metrics, jobs, the record of events, the API's own description."""

from __future__ import annotations

import json

from tests.e2e.contract.caller import NOWHERE, Caller, check_time, faults
from tests.e2e.contract.platform import Platform

JOB = {
    "id", "kind", "subjectId", "state", "progress", "attempts", "error", "createdAt", "startedAt", "finishedAt",
}  # fmt: skip


def test_jobs_are_shown_whole(platform: Platform, admin: Caller) -> None:
    project = platform.new_project()

    jobs = admin.get("/jobs", limit=200)["jobs"]

    provision = next(job for job in jobs if job["kind"] == "project.provision" and job["subjectId"] == project["id"])
    assert provision.keys() >= JOB
    assert provision["progress"] is None or provision["progress"].keys() == {"done", "total", "message"}
    assert admin.get(f"/jobs/{provision['id']}")["job"]["state"] == "done"
    check_time(provision["createdAt"])
    assert "done" in admin.post(f"/jobs/{provision['id']}/retry", status=409)["details"]["message"]
    assert {job["state"] for job in admin.get("/jobs", state="done")["jobs"]} == {"done"}
    assert {job["kind"] for job in admin.get("/jobs", kind="project.provision")["jobs"]} == {"project.provision"}
    assert set(faults(admin.get("/jobs", 400, state="x"))) == {"state"}


def test_the_record_is_complete_and_in_order(platform: Platform, admin: Caller) -> None:
    project = platform.new_project()
    task = platform.new_task(project)
    admin.post(f"/tasks/{task['id']}/cancel")

    page = admin.get("/events", projectId=project["id"])

    assert page.keys() >= {"events", "lastSeq"}
    assert [event["seq"] for event in page["events"]] == list(range(1, page["lastSeq"] + 1))
    for event in page["events"]:
        assert event.keys() == {"event", "data", "projectId", "seq", "at", "actor"}
        assert event["projectId"] == project["id"]
        check_time(event["at"])
    created = next(event for event in page["events"] if event["event"] == "task:created")
    assert created["data"] == {"taskId": task["id"], "projectId": project["id"], "title": task["title"]}
    assert "admin" in json.dumps(created["actor"]) or admin.user["id"] in json.dumps(created["actor"])
    after = admin.get("/events", projectId=project["id"], afterSeq=created["seq"])["events"]
    assert after[0]["seq"] == created["seq"] + 1
    of_type = admin.get("/events", projectId=project["id"], type="task:created")["events"]
    assert [event["seq"] for event in of_type] == [created["seq"]]
    assert admin.send("GET", f"/events?projectId={NOWHERE}").status_code == 404
    assert set(faults(admin.get("/events", 400, projectId=project["id"], afterSeq="x"))) == {"afterSeq"}
