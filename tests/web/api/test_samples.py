"""What a project starts with: a page with its test, or a whole sample with tasks."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from common.jobs import PROVISION_PROJECT
from common.models import Project
from common.providers.forge import forge
from common.states import Role
from common.values.starters import STARTERS
from tests import builders
from tests.web.world import World, get, head_of, repository_of, run_jobs


def files_of(project: Project) -> dict[str, str]:
    """The files in the repository's root, by name."""
    at, head = repository_of(project), head_of(project)
    names = [entry.path for entry in forge().list_files(at, commit=head).entries]
    return {name: (forge().read_file(at, commit=head, path=name) or b"").decode() for name in names}


def test_a_sample_is_a_project_with_three_tasks(world: World) -> None:
    reply = world.client.post("/api/projects/sample")

    assert reply.status_code == 201, reply.json
    project, tasks = reply.json["project"], reply.json["tasks"]
    assert (project["name"], project["starter"], project["testCommand"]) == ("Sample", "sample", "python3 -m unittest")
    assert [task["labels"] for task in tasks] == [["good"], ["conflicts"], ["asks"]]
    assert [task["priority"] for task in tasks] == ["high", "medium", "low"]
    listed = world.client.get(f"/api/tasks?projectId={project['id']}").json["tasks"]
    assert {task["id"] for task in listed} == {task["id"] for task in tasks}
    run_jobs(PROVISION_PROJECT)
    assert files_of(get(Project, project["id"])) == dict(STARTERS["sample"].files)


def test_samples_are_for_those_who_may_create_projects(app: Flask) -> None:
    member: FlaskClient = builders.client_of(app, builders.a_user("mia", Role.MEMBER))

    assert member.post("/api/projects/sample").status_code == 403
    assert member.get("/api/projects").json["projects"] == []
