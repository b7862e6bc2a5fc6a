"""Commands that call the API: projects, tasks, task groups, and watching events."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from datetime import datetime

import click

from common.states import Priority, TaskState
from common.values.egress import Egress
from web.cli.api_error import ApiError
from web.cli.client import Api, JsonObject
from web.cli.project_import import import_project
from web.cli.watch import follow, line_of

Fields = Sequence[str]

PROJECT = ("id", "name", "status", "giteaRepoUrl")
EGRESS = [str(egress) for egress in Egress]
TASK = ("id", "state", "priority", "title", "parked")
GROUP = ("id", "status", "stagingBranch")


class Terminal:
    """The options before the command: which platform to call, and how to print. Connects at the first call."""

    def __init__(self, url: str | None, token: str | None, *, is_json: bool) -> None:
        self._url, self._token, self.is_json = url, token, is_json

    def api(self) -> Api:
        return Api(self._url, self._token)

    def call(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        with self.api() as api:
            return api.call(method, path, body)

    def rows(self, plural: str, rows: list[JsonObject], shown: Fields) -> None:
        """Print a list: one line per row, or one JSON object."""
        if self.is_json:
            self.write({plural: rows})
        else:
            for row in rows:
                click.echo(_line(row, shown))

    def one(self, reply: JsonObject, key: str, shown: Fields | None = None) -> None:
        """Print one object: the reply as JSON, or the shown fields in one line, or one line per field."""
        if self.is_json:
            self.write(reply)
        elif shown is not None:
            click.echo(_line(reply[key], shown))
        else:
            for name, value in reply[key].items():
                if value not in (None, "", [], {}):
                    click.echo(f"{name}: {_cell(_said(name, value))}")

    def write(self, value: JsonObject) -> None:
        click.echo(json.dumps(value, ensure_ascii=False, indent=None if not sys.stdout.isatty() else 2))


def _line(row: JsonObject, shown: Fields) -> str:
    """The shown fields. A task that is not parked has no column for it."""
    return "  ".join(_cell(_said(name, row.get(name))) for name in shown if name != "parked" or row.get(name))


def _said(name: str, value: object) -> object:
    return parking_of(value) if name == "parked" and isinstance(value, dict) else value


def parking_of(parked: JsonObject) -> str:
    """Why a task waits, in words: `parked until 14:05: …`, in the time zone of this machine."""
    if parked["until"] is None:
        return f"parked: {parked['reason']}"
    until, now = datetime.fromisoformat(parked["until"]).astimezone(), datetime.now().astimezone()
    shown = f"{until:%H:%M}" if until.date() == now.date() else f"{until:%Y-%m-%d %H:%M}"
    return f"parked until {shown}: {parked['reason']}"


def _cell(value: object) -> str:
    text = "-" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # Text from agents and other users may contain control sequences: the terminal must not execute them.
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "?" for sign in text)


pass_terminal = click.make_pass_decorator(Terminal)


@click.group()
def project() -> None:
    """Projects: a repository with its tasks and environments."""


project.add_command(import_project)


@project.command("list")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1))
@pass_terminal
def list_projects(terminal: Terminal, limit: int) -> None:
    with terminal.api() as api:
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
    terminal.one(terminal.call("POST", "/projects", body | _fields(fields)), "project", PROJECT)


@project.command("show")
@click.argument("named", metavar="PROJECT")
@pass_terminal
def show_project(terminal: Terminal, named: str) -> None:
    with terminal.api() as api:
        terminal.one({"project": api.project(named)}, "project")


@project.command("delete")
@click.argument("named", metavar="PROJECT")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@pass_terminal
def delete_project(terminal: Terminal, named: str, yes: bool) -> None:
    """Delete the project with its repository and its deployments."""
    with terminal.api() as api:
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
    with terminal.api() as api:
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
    with terminal.api() as api:
        body = {"projectId": api.project(named)["id"], "title": title, "description": text, "priority": priority}
        terminal.one(api.call("POST", "/tasks", body | _fields(fields)), "task", TASK)


@task.command("show")
@click.argument("task_id", metavar="TASK")
@pass_terminal
def show_task(terminal: Terminal, task_id: str) -> None:
    terminal.one(terminal.call("GET", f"/tasks/{task_id}"), "task")


@task.command("approve")
@click.argument("task_id", metavar="TASK")
@click.option("--commit", help="Approve only if this is still the task's commit.")
@pass_terminal
def approve_task(terminal: Terminal, task_id: str, commit: str | None) -> None:
    body = {"commitSha": commit} if commit else {}
    terminal.one(terminal.call("POST", f"/tasks/{task_id}/approve", body), "task", TASK)


@task.command("reject")
@click.argument("task_id", metavar="TASK")
@click.argument("reason")
@pass_terminal
def reject_task(terminal: Terminal, task_id: str, reason: str) -> None:
    terminal.one(terminal.call("POST", f"/tasks/{task_id}/reject", {"reason": reason}), "task", TASK)


@task.command("answer")
@click.argument("task_id", metavar="TASK")
@click.argument("response")
@click.option("--question", help="Id of the question; needed if several are open.")
@pass_terminal
def answer_question(terminal: Terminal, task_id: str, response: str, question: str | None) -> None:
    with terminal.api() as api:
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
    terminal.one(terminal.call("POST", f"/tasks/{task_id}/cancel"), "task", TASK)


@task.command("retry")
@click.argument("task_id", metavar="TASK")
@pass_terminal
def retry_task(terminal: Terminal, task_id: str) -> None:
    terminal.one(terminal.call("POST", f"/tasks/{task_id}/retry"), "task", TASK)


@task.command("resume")
@click.argument("task_id", metavar="TASK")
@pass_terminal
def resume_task(terminal: Terminal, task_id: str) -> None:
    """Let a parked task go on now."""
    terminal.one(terminal.call("POST", f"/tasks/{task_id}/resume"), "task", TASK)


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
    with terminal.api() as api:
        body = {"projectId": api.project(named)["id"], "taskIds": list(task_ids), "targetBranch": target}
        body |= {key: value for key, value in (("name", name), ("notes", notes)) if value is not None}
        terminal.one(api.call("POST", "/task-groups", body), "taskGroup", GROUP)


@group.command("show")
@click.argument("group_id", metavar="GROUP")
@pass_terminal
def show_group(terminal: Terminal, group_id: str) -> None:
    terminal.one(terminal.call("GET", f"/task-groups/{group_id}"), "taskGroup")


@group.command("deploy")
@click.argument("group_id", metavar="GROUP")
@click.argument("environment", type=click.Choice(["staging", "production"]))
@pass_terminal
def deploy_group(terminal: Terminal, group_id: str, environment: str) -> None:
    terminal.one(terminal.call("POST", f"/task-groups/{group_id}/deploy-{environment}"), "taskGroup", GROUP)


@click.command()
@click.option("--project", "named", help="Id, name or slug of the project; default: all that you may see.")
@click.option("--count", type=click.IntRange(1), help="Stop after this number of events.")
@pass_terminal
def watch(terminal: Terminal, named: str | None, count: int | None) -> None:
    """Print events as they happen, one line each."""
    with terminal.api() as api:
        project_id = api.project(named)["id"] if named else None
        for number, message in enumerate(follow(api, project_id), 1):
            shown = json.dumps(message, ensure_ascii=False) if terminal.is_json else _event(api, message)
            click.echo(shown)
            sys.stdout.flush()
            if number == count:
                return


def _event(api: Api, message: JsonObject) -> str:
    """The event in one line. One that says that a task was parked, or goes on, also says what the task is now."""
    about = message.get("data", {})
    now = ""
    if "parked" in about.get("changed", ()):
        with contextlib.suppress(ApiError):  # deleted meanwhile
            found = api.call("GET", f"/tasks/{about['taskId']}")["task"]
            now = parking_of(found["parked"]) if found["parked"] else f"not parked: {found['phase'] or found['state']}"
    return _cell(f"{line_of(message)}  {now}".rstrip())


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
