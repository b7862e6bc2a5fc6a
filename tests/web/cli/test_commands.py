"""Commands for tasks, groups and releases, as people type them, against a server of this process."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import pytest
from flask import Flask

from common.models import Deployment, Job, Project, Task
from common.providers.forge import local_forge
from common.values.states import Environment, TaskState
from tests.e2e.instance import wait_until
from tests.providers.git_work_tree import WorkTree
from tests.web.cli.test_main import aiworker, aiworker_json
from tests.web.factories import a_question, set_state
from tests.web.world import World, all_of, forget_providers, get, put, repository_of, served
from web.cli import waiting

pytestmark = pytest.mark.usefixtures("ours")
OLD, NEW = "b" * 40, "c" * 40


@pytest.fixture
def world(plain_app: Flask) -> Iterator[World]:
    yield World(plain_app)
    forget_providers()


def test_a_task_is_written_and_known_by_its_last_digits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    project = world.project("Shop")
    first = aiworker_json("task", "add", "Add", "a", "cart", "-l", "ui", "-p", "high")["task"]
    assert (first["title"], first["labels"], first["priority"]) == ("Add a cart", ["ui"], "high")
    monkeypatch.setattr("sys.stdin", io.StringIO("With a total.\n"))
    second = aiworker_json("task", "add", "Pay", "-d", "-", "--after", first["id"][-8:], "--project", "Shop")["task"]
    shown = aiworker_json("task", "show", second["branchName"])["task"]
    assert (shown["description"], shown["dependsOn"]) == ("With a total.\n", [first["id"]])

    assert aiworker("task", "cancel", first["id"][-8:].upper()).startswith(first["id"])
    assert "there is no task 00000000" in aiworker("task", "show", "00000000", code=1)
    assert "give its last 8 digits" in aiworker("task", "show", "cart", code=1)
    twin = world.task(project, "Pay twice").id
    put(Task, twin, id=f"{twin[:24]}0000{second['id'][-8:]}")
    said = aiworker("task", "show", second["id"][-8:], code=1)
    assert "is ambiguous" in said
    assert f"0000{second['id'][-8:]} Pay twice" in said
    assert aiworker_json("task", "show", f"0000{second['id'][-8:]}")["task"]["title"] == "Pay twice"

    assert aiworker_json("project", "show", project.id[-4:].upper())["project"]["name"] == "Shop"
    assert "there is no project" in aiworker("project", "show", project.id[-3:], code=1)

    world.project("Blog")
    assert "say which project" in aiworker("task", "add", "Pay", code=1)
    assert "Missing argument" in aiworker("task", "add", code=2)


def test_a_task_is_changed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.project("Shop")
    first, second = [aiworker_json("task", "add", title, "-l", "ui")["task"]["id"] for title in ("Cart", "Pay")]
    monkeypatch.setattr("sys.stdin", io.StringIO("With a total.\n"))

    task = aiworker_json(
        "task", "edit", second[-8:], "--title", "Pay at once", "-d", "-", "-p", "urgent", "--after", first[-8:],
        "--driver", "codex", "--model", "small", "--field", 'requiredCapabilities=["node"]',
    )["task"]  # fmt: skip

    assert (task["title"], task["description"], task["priority"]) == ("Pay at once", "With a total.\n", "urgent")
    assert (task["driver"], task["model"], task["requiredCapabilities"]) == ("codex", "small", ["node"])
    assert task["labels"] == ["ui"]
    assert aiworker_json("task", "show", second)["task"]["dependsOn"] == [first]
    task = aiworker_json("task", "edit", second, "--driver", "none", "--model", "none", "-l", "a", "-l", "b")["task"]
    assert (task["driver"], task["model"], task["labels"]) == (None, None, ["a", "b"])
    aiworker("task", "edit", second, "--after", "none")
    assert aiworker_json("task", "show", second)["task"]["dependsOn"] == []
    assert "Nothing to change: give at least one option." in aiworker("task", "edit", second, code=2)
    assert "waits for this one" in aiworker("task", "edit", second, "--after", second, code=1)


def test_a_question_is_answered_by_the_number_of_an_option(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    task = world.task(world.project())
    asked = a_question(task)
    put(type(asked), asked.id, options=["click", "argparse"])
    monkeypatch.setattr("sys.stdin", io.StringIO("2\n"))

    said = aiworker("task", "answer", task.id[-8:])

    assert "Which library?" in said
    assert aiworker_json("task", "show", task.id)["task"]["questions"][0]["response"] == "argparse"


def test_a_review_approves_the_commit_that_was_shown(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    project = world.project(has_repository=True)
    task, other = (world.task(project, title, state="ready_to_test") for title in ("Greet", "Wave"))
    put(Task, task.id, head_sha=None)
    assert "no proven commit" in aiworker("task", "review", task.id, "--approve", code=1)
    put(Task, task.id, head_sha=NEW)

    assert aiworker_json("task", "review", other.id, "--reject", "Too loud")["task"]["state"] == "in_progress"
    assert aiworker("task", "review", task.id[-8:], "--approve").split("  ")[1] == "approved"
    assert get(Task, task.id).approved_sha == NEW
    assert "exclude each other" in aiworker("task", "review", task.id, "--approve", "--reject", "x", code=2)


@pytest.mark.slow
def test_watching_ends_where_a_person_has_to_act(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    project = world.project()
    task, other = world.task(project), world.task(project, "Wave", state="ready_to_test")
    with served() as url:  # sockets need gunicorn
        monkeypatch.setenv("AIWORKER_URL", url)

        assert aiworker("task", "watch", other.id[-8:]) == f"{other.id[-8:]}  ready_to_test  Wave"
        set_state(task, TaskState.CANCELLED)
        assert aiworker("task", "watch", task.id, code=1).endswith(f"task {task.id[-8:]} is cancelled")
        # The process would wait for the connection's thread.
        wait_until("the connections to end", lambda: not any("websocket" in one.name for one in threading.enumerate()))


@pytest.mark.slow
def test_a_group_is_made_staged_and_given_up(world: World) -> None:
    project = world.project("Shop")
    first, second = world.approved(project, "Greet", "Wave")
    assert "name the tasks" in aiworker("group", "create", code=2)

    group = aiworker_json("group", "create", first[-8:], "--name", "Sprint 1")["taskGroup"]
    assert (group["projectId"], group["taskIds"], group["status"]) == (project.id, [first], "pending")
    assert aiworker("deploy", "staging").startswith(group["id"])
    assert aiworker("group", "list", "--project", "Shop") == f"{group['id']}  pending  release/sprint-1"
    assert "no group of Shop can go to production" in aiworker("deploy", "production", code=1)
    assert "409" in aiworker("group", "release", group["id"][-8:], code=1)
    assert aiworker_json("group", "cancel", group["id"][-8:])["taskGroup"]["status"] == "cancelled"

    again = aiworker_json("group", "create", "--approved", "--project", "Shop")["taskGroup"]
    assert sorted(again["taskIds"]) == sorted([first, second])
    left = aiworker_json("group", "remove", again["id"][-8:], first[-8:])["taskGroup"]
    assert left["taskIds"] == [second]
    world.project("Empty")
    assert "no task of the project is approved" in aiworker("group", "create", "Empty", "--approved", code=1)


def test_a_patch_is_whole_in_a_pipe_and_harmless_on_a_terminal(world: World, tmp_path: Path) -> None:
    project = world.project(has_repository=True)
    task = world.task(project)
    tree = WorkTree(tmp_path / "tree", str(local_forge().repository_path(repository_of(project))))
    tree.commit({"a.txt": "one\n"}, on="main")
    tree.commit({"a.txt": "two \x1b[2J\n"}, on=task.branch_name)
    tree.push("main", task.branch_name)

    assert "\n-one\n+two \x1b[2J" in aiworker("task", "diff", task.id)
    assert aiworker("task", "diff", task.id, "--stat").splitlines() == ["modified  a.txt  +1 -1", "1 file changed"]
    shown = aiworker("task", "diff", task.id, is_screen=True, NO_COLOR="")
    assert click.style("-one", fg="red") in shown
    assert click.style("+two ?[2J", fg="green") in shown


def test_production_goes_back_after_a_look_at_what_that_takes_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = world.project("Shop")
    assert "nothing of Shop runs in production" in aiworker("rollback", code=1)
    old = world.deployment(project, Environment.PRODUCTION, state="superseded", is_live=False, commit_sha=OLD)
    world.deployment(project, Environment.PRODUCTION, commit_sha=NEW)

    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    said = aiworker("rollback", code=1)
    assert said.startswith(f"Roll production back to {OLD[:12]}?")
    assert said.endswith("nothing was done")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert aiworker("rollback", code=1).endswith("nothing was done")
    listed = aiworker_json("deployments", "--environment", "production")["deployments"]
    assert [one["status"] for one in listed] == ["completed", "superseded"]

    assert f"production goes back to {OLD[:12]}" in aiworker("rollback", "--to", old[-8:], "--yes")


def test_a_project_and_a_rollback_are_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.02)
    with ThreadPoolExecutor(1) as pool:
        said = pool.submit(aiworker, "project", "create", "Shop", "--wait", code=0)
        wait_until("the project", lambda: len(all_of(Project)) == 1 or said.done())
        shop = all_of(Project)[0]
        put(Project, shop.id, state_="active")
        assert " active " in said.result()

        world.deployment(shop, Environment.PRODUCTION, state="superseded", is_live=False, commit_sha=OLD)
        world.deployment(shop, Environment.PRODUCTION, commit_sha=NEW)
        said = pool.submit(aiworker, "rollback", "--yes", "--wait", code=1, lines=2)
        of_rollback = Deployment.rollback_of.is_not(None)
        wait_until("the rollback", lambda: len(all_of(Deployment, of_rollback)) == 1 or said.done())
        made = all_of(Deployment, of_rollback)[0]
        put(Deployment, made.id, state_="failed", error="Never healthy")
        put(Job, all_of(Job, Job.subject_id == made.id)[0].id, state_="done", progress_done=2, progress_total=4)
    assert said.result().endswith(f"deployment {made.id[-8:]} is failed: Never healthy")


@pytest.mark.slow
def test_what_an_agent_did_is_read_again(world: World) -> None:
    task = world.task(world.project(has_repository=True))
    assert "no agent has begun" in aiworker("task", "logs", task.id, code=1)
    client, claim = world.claim(world.agent()[0])
    lines = [
        {"number": 1, "level": "info", "message": "look\x1b[2J around"},
        {"number": 2, "level": "error", "message": "No"},
    ]
    assert client.post(f"/api/runner/runs/{claim['run']['id']}/logs", json={"lines": lines}).status_code < 300

    said = aiworker("task", "logs", task.id[-8:])
    assert re.search(r"^\d\d:\d\d:\d\d  \w+ +look around$", said, re.MULTILINE)
    assert "around" not in aiworker("task", "logs", task.id, "--search", "No", "--run", claim["run"]["id"][-8:])
    assert aiworker_json("task", "logs", task.id)["entries"][-1]["message"] == "No"
    assert aiworker("task", "diff", task.id) == ""
    assert aiworker("task", "diff", task.id, "--stat") == "0 files changed"
