"""Commands that call the API: projects, tasks and task groups."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import click

from common.states import Priority, TaskState
from common.values.egress import Egress
from web.cli.api_error import ApiError
from web.cli.client import api_of
from web.cli.project_import import import_project
from web.cli.terminal import JsonObject, Terminal, pass_terminal

PROJECT = ("id", "name", "status", "giteaRepoUrl")
EGRESS = [str(egress) for egress in Egress]
TASK = ("id", "state", "priority", "title", "parked")
GROUP = ("id", "status", "stagingBranch")


@click.group()
def project() -> None:
    """Projects: a repository with its tasks and environments."""


project.add_command(import_project)


@project.command("list")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1))
@pass_terminal
def list_projects(terminal: Terminal, limit: int) -> None:
    with api_of(terminal) as api:
        terminal.rows("projects", list(api.every("/projects", "projects", most=limit)), PROJECT)


@project.command("create")
@click.argument("name")
@click.option("--description")
@click.option("--import-url", help="The address of an existing repository to import.")
@click.option("--start-command", help="Command that starts the application; it listens on $PORT.")
@click.option("--test-command", help="Command that tests a commit.")
@click.option("--egress", type=click.Choice(EGRESS), help="What agents, tests and previews may reach.")
@click.option("--field", "fields", multiple=True, metavar="NAME=JSON", help="Another field of the API's request.")
@pass_terminal
def create_project(
    terminal: Terminal,
    name: str,
    description: str | None,
    import_url: str | None,
    start_command: str | None,
    test_command: str | None,
    egress: str | None,
    fields: Sequence[str],
) -> None:
    given = {"description": description, "importUrl": import_url, "startCommand": start_command,
             "testCommand": test_command, "egress": egress}  # fmt: skip
    body = {"name": name, **{key: value for key, value in given.items() if value is not None}}
    terminal.one(_call(terminal, "POST", "/projects", body | _fields(fields)), "project", PROJECT)


@project.command("show")
@click.argument("named", metavar="PROJECT")
@pass_terminal
def show_project(terminal: Terminal, named: str) -> None:
    with api_of(terminal) as api:
        terminal.one({"project": api.project(named)}, "project")


@project.command("delete")
@click.argument("named", metavar="PROJECT")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@pass_terminal
def delete_project(terminal: Terminal, named: str, yes: bool) -> None:
    """Delete the project with its repository and its deployments."""
    with api_of(terminal) as api:
        found = api.project(named)
        if not yes:
            click.confirm(f"Delete {found['name']} with its repository and all its deployments?", abort=True, err=True)
        terminal.one(api.call("DELETE", f"/projects/{found['id']}"), "project", PROJECT)


@click.group()
def task() -> None:
    """Tasks: written by people, done by agents."""


@task.command("list")
@click.option("--project", "named", help="Id, name or slug of the project.")
@click.option("--state", type=click.Choice([str(state) for state in TaskState]))
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1))
@pass_terminal
def list_tasks(terminal: Terminal, named: str | None, state: str | None, limit: int) -> None:
    with api_of(terminal) as api:
        project_id = api.project(named)["id"] if named else None
        terminal.rows("tasks", list(api.every("/tasks", "tasks", most=limit, projectId=project_id, state=state)), TASK)


@task.command("create")
@click.argument("named", metavar="PROJECT")
@click.argument("title")
@click.option("--description", default="", help="Text of the task; `-` reads it from standard input.")
@click.option("--priority", type=click.Choice([priority.label for priority in Priority]), default="medium")
@click.option("--field", "fields", multiple=True, metavar="NAME=JSON", help="Another field of the API's request.")
@pass_terminal
def create_task(
    terminal: Terminal, named: str, title: str, description: str, priority: str, fields: Sequence[str]
) -> None:
    text = sys.stdin.read() if description == "-" else description
    with api_of(terminal) as api:
        body = {"projectId": api.project(named)["id"], "title": title, "description": text, "priority": priority}
        terminal.one(api.call("POST", "/tasks", body | _fields(fields)), "task", TASK)


@task.command("show")
@click.argument("task_id", metavar="TASK")
@pass_terminal
def show_task(terminal: Terminal, task_id: str) -> None:
    terminal.one(_call(terminal, "GET", f"/tasks/{task_id}"), "task")


@task.command("approve")
@click.argument("task_id", metavar="TASK")
@click.option("--commit", help="Approve only if this is still the task's commit.")
@pass_terminal
def approve_task(terminal: Terminal, task_id: str, commit: str | None) -> None:
    body = {"commitSha": commit} if commit else {}
    terminal.one(_call(terminal, "POST", f"/tasks/{task_id}/approve", body), "task", TASK)


@task.command("reject")
@click.argument("task_id", metavar="TASK")
@click.argument("reason")
@pass_terminal
def reject_task(terminal: Terminal, task_id: str, reason: str) -> None:
    terminal.one(_call(terminal, "POST", f"/tasks/{task_id}/reject", {"reason": reason}), "task", TASK)


@task.command("answer")
@click.argument("task_id", metavar="TASK")
@click.argument("response")
@click.option("--question", help="Id of the question; needed if several are open.")
@pass_terminal
def answer_question(terminal: Terminal, task_id: str, response: str, question: str | None) -> None:
    with api_of(terminal) as api:
        if question is None:
            asked = api.call("GET", f"/tasks/{task_id}")["task"]["questions"]
            pending = [one["id"] for one in asked if one["status"] == "pending"]
            if len(pending) != 1:
                raise ApiError(f"{len(pending)} questions are open; name one with --question: {', '.join(pending)}")
            question = pending[0]
        reply = api.call("POST", f"/tasks/{task_id}/respond", {"questionId": question, "response": response})
        terminal.one(reply, "question", ("id", "status"))


@task.command("cancel")
@click.argument("task_id", metavar="TASK")
@pass_terminal
def cancel_task(terminal: Terminal, task_id: str) -> None:
    terminal.one(_call(terminal, "POST", f"/tasks/{task_id}/cancel"), "task", TASK)


@task.command("retry")
@click.argument("task_id", metavar="TASK")
@pass_terminal
def retry_task(terminal: Terminal, task_id: str) -> None:
    terminal.one(_call(terminal, "POST", f"/tasks/{task_id}/retry"), "task", TASK)


@task.command("resume")
@click.argument("task_id", metavar="TASK")
@pass_terminal
def resume_task(terminal: Terminal, task_id: str) -> None:
    """Let a parked task go on now."""
    terminal.one(_call(terminal, "POST", f"/tasks/{task_id}/resume"), "task", TASK)


@click.group()
def group() -> None:
    """Task groups: approved tasks that are deployed together."""


@group.command("create")
@click.argument("named", metavar="PROJECT")
@click.argument("task_ids", metavar="TASK…", nargs=-1, required=True)
@click.option("--name")
@click.option("--notes")
@click.option("--target", type=click.Choice(["staging", "production"]), default="staging", show_default=True)
@pass_terminal
def create_group(
    terminal: Terminal, named: str, task_ids: Sequence[str], name: str | None, notes: str | None, target: str
) -> None:
    with api_of(terminal) as api:
        body = {"projectId": api.project(named)["id"], "taskIds": list(task_ids), "targetBranch": target}
        body |= {key: value for key, value in (("name", name), ("notes", notes)) if value is not None}
        terminal.one(api.call("POST", "/task-groups", body), "taskGroup", GROUP)


@group.command("show")
@click.argument("group_id", metavar="GROUP")
@pass_terminal
def show_group(terminal: Terminal, group_id: str) -> None:
    terminal.one(_call(terminal, "GET", f"/task-groups/{group_id}"), "taskGroup")


@group.command("deploy")
@click.argument("group_id", metavar="GROUP")
@click.argument("environment", type=click.Choice(["staging", "production"]))
@pass_terminal
def deploy_group(terminal: Terminal, group_id: str, environment: str) -> None:
    terminal.one(_call(terminal, "POST", f"/task-groups/{group_id}/deploy-{environment}"), "taskGroup", GROUP)


def _call(terminal: Terminal, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
    with api_of(terminal) as api:
        return api.call(method, path, body)


def _fields(given: Sequence[str]) -> JsonObject:
    """`NAME=JSON` pairs as an object; a value that is not JSON is taken as a text."""
    body: JsonObject = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair} is not NAME=JSON", param_hint="--field")
        try:
            body[name] = json.loads(text)
        except json.JSONDecodeError:
            body[name] = text
    return body
