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

from common.models import Deployment, Job, Project, Task, TaskGroup
from common.providers.forge import local_forge
from common.states import Environment, TaskState
from tests.e2e.instance import wait_until
from tests.providers.git_tree import WorkTree
from tests.web.cli.test_main import aiworker, aiworker_json
from tests.web.made import a_question, set_state
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


def test_a_name_that_is_the_slug_of_another_project_names_neither(world: World) -> None:
    """A project that was renamed keeps its slug."""
    meant, other = world.project("old").id, world.project("shop").id
    for project_id, name in ((other, "Blog"), (meant, "shop")):
        assert world.client.patch(f"/api/projects/{project_id}", json={"name": name}).status_code == 200

    said = aiworker("project", "delete", "shop", "--yes", code=1)

    assert "shop is ambiguous, give an id: " in said
    assert {f"{other} Blog", f"{meant} shop"} <= set(re.split(": |; |\n", said))
    assert {get(Project, one).state for one in (other, meant)} == {"active"}
    assert aiworker_json("project", "show", meant)["project"]["name"] == "shop"
    assert aiworker_json("project", "show", "Blog")["project"]["id"] == other


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


@pytest.mark.slow
def test_all_approved_tasks_are_those_that_no_live_group_holds(world: World) -> None:
    project = world.project("Shop")
    held, failed, free = world.approved(project, "Greet", "Wave", "Nod")
    first = aiworker_json("group", "create", held)["taskGroup"]
    put(TaskGroup, first["id"], state_="merged")
    put(TaskGroup, aiworker_json("group", "create", failed)["taskGroup"]["id"], state_="failed")

    assert aiworker_json("group", "create", "--approved")["taskGroup"]["taskIds"] == [free]

    said = aiworker("group", "create", "--approved", code=1)
    assert "every approved task of the project is in a group already; see: aiworker group list" in said
    aiworker("group", "cancel", first["id"])
    assert aiworker_json("group", "create", "--approved")["taskGroup"]["taskIds"] == [held]


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


@pytest.mark.slow
def test_watching_ends_where_only_a_person_makes_the_task_go_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    project = world.project(has_repository=True)
    at_cap, held = world.task(project), world.task(project, "Wave")
    put(Task, at_cap.id, state_="in_progress", phase_="parked", parked_code="cap", parked_reason="It is at its cap")
    put(Task, held.id, state_="in_progress", phase_="held", held_by="mia")

    with served() as url:
        monkeypatch.setenv("AIWORKER_URL", url)
        words = [aiworker("task", "watch", one.id).split("  ")[1] for one in (at_cap, held)]
        # The process would wait for the connections' threads.
        wait_until("the connections to end", lambda: not any("websocket" in one.name for one in threading.enumerate()))

    assert words == ["in_progress (parked)", "in_progress (held)"]


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


def test_all_approved_tasks_are_grouped_of_the_named_project_alone(world: World) -> None:
    task, _other = world.approved(world.project("Shop"), "Greet", "Wave")

    said = aiworker("group", "create", "Shpo", "--approved", code=1)
    assert "there is no project Shpo; see: aiworker project list" in said
    said = aiworker("group", "create", "Shop", task[-8:], "--approved", code=2)
    assert "name the tasks, or take all with --approved" in said
    said = aiworker("group", "create", task[-8:], "--approved", "--project", "Shop", code=2)
    assert "name the tasks, or take all with --approved" in said
    assert all_of(TaskGroup) == []


def test_waiting_for_a_group_ends_with_what_came_of_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.02)
    (task_id,) = world.approved(world.project("Shop"))
    with ThreadPoolExecutor(1) as pool:
        # The command ends as soon as the group is where the test puts it.
        said = pool.submit(aiworker, "group", "create", task_id[-8:], "--wait", code=1, lines=2)
        wait_until("the group", lambda: len(all_of(TaskGroup)) == 1 or said.done())
        put(TaskGroup, all_of(TaskGroup)[0].id, state_="failed", error="The tests never ended")

    assert said.result().splitlines()[0] == "pending"
    assert said.result().endswith("is failed: The tests never ended")


def test_waiting_for_staging_ends_where_the_merged_group_may_not_go_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.02)
    project = world.project("Shop")
    group = world.group(project, world.approved(project))
    with ThreadPoolExecutor(1) as pool:
        said = pool.submit(aiworker, "group", "stage", group["id"][-8:], "--wait", code=1, lines=2)
        wait_until("the request", lambda: get(TaskGroup, group["id"]).wants_staging or said.done())
        refused = "production was rolled back"
        put(TaskGroup, group["id"], state_="merged", wants_staging=False, error=refused)
        try:
            wait_until("the command to end", said.done)
        finally:
            put(TaskGroup, group["id"], state_="failed")

    assert said.result().endswith(f"group {group['id'][-8:]} is merged: {refused}")


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


def test_a_terminal_gets_a_table_and_a_pipe_gets_whole_ids(world: World) -> None:
    task = world.task(world.project("Shop"), "Add a cart that shows the total in every currency")

    assert aiworker("task", "list") == f"{task.id}  backlog  medium  {task.title}"
    head, line = aiworker("task", "list", is_screen=True, COLUMNS="50", NO_COLOR="").splitlines()
    assert click.unstyle(head).split() == ["ID", "STATE", "PRIORITY", "TITLE"]
    assert click.style("backlog", fg="bright_black") in line
    assert click.unstyle(line).startswith(f"{task.id[-8:]}  backlog  medium")
    assert (len(click.unstyle(line)), click.unstyle(line)[-1]) == (50, "…")
    assert "\x1b" not in aiworker("task", "list", is_screen=True, NO_COLOR="1")
    assert aiworker("task", "list", "--limit", "1", is_screen=True).endswith("newest one; see more with --limit.")
    assert aiworker("group", "list", is_screen=True) == "No task groups."
    shown = aiworker("task", "show", task.id, is_screen=True, NO_COLOR="1").splitlines()
    assert shown[:2] == [task.title, f"{task.id[-8:]}  backlog  medium  Shop"]
    # For scripts, wherever the option stands.
    assert aiworker_json("task", "list") == aiworker_json("task", "list", "--json")
    assert aiworker("spend", "--by", "model").splitlines()[-1].startswith("total  0.00  0")
    assert aiworker("spend", "--days", "399").splitlines()[-1].startswith("total  0.00  0")
    assert "1<=x<=399" in aiworker("spend", "--days", "400", code=2, lines=4)


def test_the_page_of_a_thing_is_printed_where_there_is_no_browser(
    world: World, ours: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = world.project("Shop")
    task = world.task(project)

    assert aiworker("open") == f"{ours}/"
    assert aiworker("open", task.id[-8:]) == f"{ours}/#/projects/{project.id}/tasks/{task.id}"
    assert aiworker("open", "--project", project.id[-8:]) == f"{ours}/#/projects/{project.id}/tasks"
    assert "name one of" in aiworker("open", task.id, "--project", "Shop", code=2)


def test_a_group_is_shown_with_its_tasks_and_the_next_step(world: World) -> None:
    project = world.project("Shop")
    group = world.group(project, world.approved(project, "Greet"), name="Sprint 1")
    put(TaskGroup, group["id"], state_="merged")

    shown = aiworker("group", "show", group["id"][-8:], is_screen=True, NO_COLOR="1").splitlines()

    assert shown[:2] == ["Sprint 1", f"{group['id'][-8:]}  merged  release/sprint-1"]
    assert f"{group['taskIds'][0][-8:]}  Greet" in shown
    assert shown[-1] == f"Next: aiworker group stage {group['id'][-8:]}"
    assert "status: merged" in aiworker("group", "show", group["id"]).splitlines()


@pytest.mark.parametrize(
    ("status", "step"),
    [("merging", "show"), ("merged", "stage"), ("staging", "release"), ("failed", "retry"), ("cancelled", None)],
)
def test_the_next_step_of_a_task_in_a_group_is_the_groups(world: World, status: str, step: str | None) -> None:
    (task_id,) = world.approved(world.project("Shop"))
    group = aiworker_json("group", "create", task_id)["taskGroup"]
    put(TaskGroup, group["id"], state_=status)

    shown = aiworker("task", "show", task_id, is_screen=True, NO_COLOR="1").splitlines()

    named = f"{step} {group['id'][-8:]}" if step else f"create {task_id[-8:]}"
    assert shown[-1] == f"Next: aiworker group {named}"


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


def test_a_comment_names_its_place(world: World) -> None:
    task = world.task(world.project())

    made = aiworker_json("task", "say", task.id[-8:], "Use a constant", "--on", "src/a.py:12")["comment"]

    assert (made["path"], made["line"], made["body"]) == ("src/a.py", 12, "Use a constant")
    assert "is not PATH:LINE" in aiworker("task", "say", task.id, "x", "--on", "a.py", code=2)
