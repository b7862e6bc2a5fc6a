"""Everything that is read as JSON has an ETag: who has the present content gets a 304."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.web.made import a_project, a_task

LISTS = ("projects", "tasks", "board", "task-groups", "deployments", "agents", "jobs", "users", "inbox")


@pytest.mark.parametrize("path", [*LISTS, "openapi.json"])
def test_what_has_not_changed_is_not_sent_again(admin: FlaskClient, path: str) -> None:
    project = a_project()
    a_task(project)
    query = f"?projectId={project.id}" if path == "board" else ""
    first = admin.get(f"/api/{path}{query}")
    assert first.status_code == 200

    again = admin.get(f"/api/{path}{query}", headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Cache-Control"] == "no-store"


def test_what_has_changed_is_sent_with_another_tag(admin: FlaskClient) -> None:
    project = a_project()
    path = f"/api/projects/{project.id}"
    tag = admin.get(path).headers["ETag"]
    assert admin.patch(path, json={"description": "Another"}).status_code == 200

    again = admin.get(path, headers={"If-None-Match": tag})

    assert again.status_code == 200
    assert again.json["project"]["description"] == "Another"
    assert again.headers["ETag"] != tag


def test_a_head_request_has_the_tag_of_the_content(admin: FlaskClient) -> None:
    asked = admin.head("/api/projects")
    assert asked.headers["ETag"] == admin.get("/api/projects").headers["ETag"]


def test_an_error_and_a_write_have_no_tag(admin: FlaskClient) -> None:
    assert "ETag" not in admin.get("/api/projects/00000000-0000-0000-0000-000000000000").headers
    assert "ETag" not in admin.post("/api/projects", json={"name": "Tagless"}).headers
