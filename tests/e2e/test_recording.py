"""The recorder of the API's examples, at an app that answers as the API does: JSON, files, and nothing new."""

from __future__ import annotations

import pytest
from flask import Flask, Response, request
from flask.typing import ResponseReturnValue

from tests.app_server import served
from tests.e2e.recording import Recorder

pytestmark = pytest.mark.slow

JSON = {"content": {"application/json": {}}}
DESCRIPTION = {
    "paths": {
        "/api/tasks/{task_id}": {"get": {"operationId": "read_task", "responses": {"200": JSON, "304": {}}}},
        "/api/tasks/{task_id}/picture": {
            "get": {"operationId": "read_picture", "responses": {"200": {"content": {"image/png": {}}}}}
        },
        "/api/tasks/{task_id}/approve": {"post": {"operationId": "approve_task", "responses": {"204": {}}}},
    }
}


def _api() -> Flask:
    app = Flask(__name__)

    @app.get("/api/tasks/<task_id>")
    def read_task(task_id: str) -> ResponseReturnValue:
        return Response(status=304) if "If-None-Match" in request.headers else {"id": task_id}

    @app.get("/api/tasks/<_task_id>/picture")
    def read_picture(_task_id: str) -> ResponseReturnValue:
        return Response(b"\x89PNG", content_type="image/png")

    @app.post("/api/tasks/<_task_id>/approve")
    def approve_task(_task_id: str) -> ResponseReturnValue:
        return "", 204

    return app


def test_operations_that_answer_with_json_a_file_or_nothing_are_all_kept() -> None:
    recorder = Recorder(DESCRIPTION)
    with served(_api()) as port:
        task = f"http://127.0.0.1:{port}/api/tasks/one"
        recorder.session.get(task, headers={"If-None-Match": '"1"'})
        recorder.session.get(f"{task}/picture")
        assert recorder.missing() == ["approve_task", "read_task"]
        recorder.session.get(task)
        recorder.session.post(f"{task}/approve")
    assert recorder.missing() == []
    its = {"parameters": {"task_id": "one"}}
    assert recorder.kept == {
        "read_task": {**its, "status": 200, "reply": {"id": "one"}},
        "read_picture": {**its, "status": 200},
        "approve_task": {**its, "status": 204},
    }
