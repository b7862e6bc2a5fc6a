"""The client for Python, installed by pip from the instance, takes a task its whole way."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.contract.fake_agent import FakeAgent
from tests.e2e.contract.platform import NO_WAITING, Platform
from web import VERSION
from web.client.wheel import file_name

Json = Any


@pytest.fixture
def package(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module, as a user has it."""
    address = f"{platform.url}/api/client/{file_name(VERSION)}"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(tmp_path)]
    subprocess.run([*install, address], check=True, capture_output=True, env={"PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("aiworker_client")
    for name in [name for name in sys.modules if name.partition(".")[0] == "aiworker_client"]:
        del sys.modules[name]


def test_a_task_goes_its_whole_way_by_the_client(platform: Platform, agent: FakeAgent, package: Any) -> None:
    with package.AiWorker.with_password(platform.url, "admin", platform.password) as client:
        project = client.create_project(
            name=platform.name("By the client"), import_url=platform.import_url, test_command="python3 -m unittest -q",
            health_seconds=NO_WAITING, idempotency_key=platform.name("key"),
        )  # fmt: skip
        platform.wait_project(project["id"], "active")
        wanted = {"project_id": project["id"], "title": "Greet", "required_capabilities": [agent.capability]}
        key = platform.name("key")
        task = client.create_task(**wanted, idempotency_key=key)
        assert client.create_task(**wanted, idempotency_key=key) == task
        run = agent.claim()
        question = {"question": "In which language?", "options": ["Spanish", "French"]}
        run.api.post(f"{run.path}/questions", question, 201)

        events = client.watch(project["id"], every_seconds=0.05)
        asked = next(event for event in events if event["event"] == "task:needs_input")
        client.respond(task["id"], question_id=asked["data"]["questionId"], response="Spanish")
        answered = next(event for event in events if event["event"] == "question:answered")
        run.complete({"greeting.txt": "hola\n"})

        assert answered["seq"] > asked["seq"]
        with pytest.raises(TimeoutError, match=r"is in_progress|is ready_to_test"):
            client.wait_for_task(task["id"], "production", seconds=0)
        ready = client.wait_for_task(task["id"], "ready_to_test", seconds=60)
        assert ready["questions"][0]["response"] == "Spanish"
        assert [file["path"] for file in client.diff_task(task["id"])["files"]] == ["greeting.txt"]
        assert client.approve_task(task["id"])["state"] == "approved"
        group = client.create_task_group(project_id=project["id"], task_ids=[task["id"]], name="Sprint 1")
        assert client.deploy_to_staging(group["id"])["job"]["kind"]
        client.wait_for_task_group(group["id"], "staging", seconds=60)
        client.deploy_to_production(group["id"])
        client.wait_for_task_group(group["id"], "production", seconds=60)
        live = client.list_deployments(project_id=project["id"], environment="production")["deployments"]
        assert [deployment["taskGroupId"] for deployment in live] == [group["id"]]
        file = client.add_attachment(task["id"], name="note.txt", content=b"Done")
        assert client.read_attachment(task["id"], file["id"]) == b"Done"
        assert client.delete_attachment(task["id"], file["id"]) is None


def test_errors_are_exceptions_that_name_the_field(platform: Platform, package: Any) -> None:
    with pytest.raises(package.Unauthenticated, match="401 Invalid credentials"):
        package.AiWorker.with_password(platform.url, "admin", "wrong")
    client = package.AiWorker(platform.url, platform.as_a("member").token)
    project = platform.project()
    task = client.create_task(project_id=project["id"], title="x", required_capabilities=["nobody-has-this"])

    with pytest.raises(package.Invalid, match="400 title: Must have 1 to 200 characters") as invalid:
        client.create_task(project_id=project["id"], title="")
    assert (invalid.value.field, invalid.value.faults) == ("title", {"title": "Must have 1 to 200 characters"})
    with pytest.raises(package.Invalid) as both:
        client.create_task(project_id="x", title="")
    assert set(both.value.faults) == {"projectId", "title"}
    with pytest.raises(package.Forbidden):
        client.approve_task(task["id"])
    with pytest.raises(package.NotFound) as missing:
        client.read_task("01900000-0000-7000-8000-000000000000")
    assert (missing.value.status, missing.value.field) == (404, None)
    with pytest.raises(package.Conflict, match="only failed can be retried") as conflict:
        client.retry_task(task["id"])
    assert conflict.value.field
    assert isinstance(conflict.value, package.AiWorkerError)
