"""Health, metrics, jobs, the record of events, the API's own description."""

from __future__ import annotations

import json

import jsonschema  # type: ignore[import-untyped]
from openapi_spec_validator import validate

from tests.e2e.contract.caller import NOWHERE, Caller, check_time, faults
from tests.e2e.contract.platform import ON_ONE_DATABASE, Platform
from tests.e2e.contract.test_conventions import ALL

JOB = {
    "id", "kind", "subjectId", "state", "progress", "attempts", "error", "createdAt", "startedAt", "finishedAt",
}  # fmt: skip


def test_metrics_want_a_token(platform: Platform, admin: Caller) -> None:
    for path in (f"{platform.url}/metrics", f"{platform.url}/api/metrics"):
        platform.anybody.call("GET", path, 401)
        reply = admin.call("GET", path, 200)
        assert reply.headers["Content-Type"].startswith("text/plain")
        assert "# TYPE" in reply.text


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


@ON_ONE_DATABASE
def test_the_description_is_valid_and_names_every_endpoint(platform: Platform) -> None:
    description = platform.anybody.get("/openapi.json")

    validate(description)
    paths = {
        (
            method.upper(),
            "/".join("{}" if part.startswith("{") else part for part in path.removeprefix("/api").split("/")),
        )
        for path, methods in description["paths"].items()
        for method in methods
    }
    for method, path in ALL:
        if path == "/metrics":
            continue  # Prometheus' own format, described by Prometheus.
        wanted = "/".join("{}" if "0000" in part else part for part in path.split("/"))
        assert (method, wanted) in paths, f"{method} {wanted} is not described"


def test_replies_are_as_the_description_says(platform: Platform, admin: Caller) -> None:
    description = platform.anybody.get("/openapi.json")
    task = platform.new_task(platform.project())
    examples = {
        "/projects": "/projects", "/tasks": "/tasks", "/tasks/{}": f"/tasks/{task['id']}", "/agents": "/agents",
        "/deployments": "/deployments", "/jobs": "/jobs", "/task-groups": "/task-groups", "/users": "/users",
    }  # fmt: skip
    for path, methods in description["paths"].items():
        plain = "/".join("{}" if part.startswith("{") else part for part in path.removeprefix("/api").split("/"))
        if plain not in examples or "get" not in methods:
            continue
        schema = methods["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.Draft202012Validator({**schema, "components": description["components"]}).validate(
            admin.get(examples.pop(plain))
        )
    assert not examples
