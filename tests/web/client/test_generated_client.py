"""The client for Python is what the API's description says now, has types that hold, and is what is served."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from web import VERSION
from web.client.generator import files_of
from web.client.wheel import file_name, wheel_of

pytestmark = pytest.mark.slow

CALLER = """\
from aiworker_client import AiWorker, Conflict

client = AiWorker("http://localhost:3000", "aiw_x")
task = client.create_task(project_id="x", title="y", priority="high", idempotency_key="z")
state: str = task["state"]
questions = [question["question"] for question in client.read_task(task["id"])["questions"]]
names: list[str] = [project["name"] for project in client.iterate_projects()]
start: str = client.read_spend(from_="2026-01-01T00:00:00Z")["from"]
content: bytes = client.read_attachment("x", "y")
file = client.add_attachment("x", content=b"z", name="notes.txt")
size: int = file["sizeBytes"]
try:
    client.approve_task("x")
except Conflict as error:
    field: str | None = error.field
"""


@pytest.fixture
def description(plain_app: Flask) -> Any:
    return json.loads(plain_app.test_client().get("/api/openapi.json").data)


def test_what_is_served_is_made_of_the_description(plain_app: Flask, description: Any) -> None:
    anybody = plain_app.test_client()

    served = anybody.get(f"/api/client/{file_name(VERSION)}")

    assert served.status_code == 200
    assert served.data == wheel_of(description)
    with zipfile.ZipFile(io.BytesIO(served.data)) as wheel:
        assert {name: wheel.read(name).decode() for name in wheel.namelist() if "dist-info" not in name} == files_of(
            description
        )
    assert anybody.get("/api/client/aiworker_client-0.0.1-py3-none-any.whl").status_code == 404


def test_every_operation_for_people_is_a_method(description: Any) -> None:
    text = files_of(description)["aiworker_client/operations.py"]
    of_programs = ("/api/runner/", "/api/webhooks/", "/api/metrics")

    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                is_there = f"    def {operation['operationId']}(self" in text
                assert is_there != path.startswith(of_programs), path


def test_its_types_hold_and_refuse_what_is_wrong(description: Any, tmp_path: Path) -> None:
    for name, text in files_of(description).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "good.py").write_text(CALLER, "utf-8")
    (tmp_path / "bad.py").write_text(
        "from aiworker_client import AiWorker\n"
        'client = AiWorker("http://localhost:3000")\n'
        'client.create_task(title="no project")\n'
        'client.create_task(project_id="x", title="y", priority="huge")\n'
        'client.create_task(project_id="x", titel="y")\n'
        'client.read_task("x")["stat"]\n',
        "utf-8",
    )

    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "aiworker_client", "good.py", "bad.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    lines = checked.stdout.splitlines()
    faults = [line for line in lines if "error:" in line]
    assert [line for line in faults if not line.startswith("bad.py")] == [], checked.stdout
    assert {line.split(":")[1] for line in faults} == {"3", "4", "5", "6"}, checked.stdout
