"""Everything that is read as JSON has an ETag: who has the present content gets a 304."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.web.made import a_project, a_task


@pytest.mark.parametrize("path", ["projects", "board", "openapi.json"])
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
