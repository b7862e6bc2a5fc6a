"""Commands that speak to the API: projects, tasks, groups, and watching what happens."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from common.states import Priority, TaskState
from web.cli.client import Api, ApiError
from web.cli.watch import follow, line_of

Fields = Sequence[str]

PROJECT = ("id", "name", "status", "giteaRepoUrl")
TASK = ("id", "state", "priority", "title")
GROUP = ("id", "status", "stagingBranch")


class Session:
    """What the options before a command say. Connects with the first call."""

    def __init__(self, url: str | None, token: str | None, *, is_json: bool) -> None:
        self._url, self._token, self.is_json = url, token, is_json

    def api(self) -> Api:
        return Api(self._url, self._token)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        with self.api() as api:
            return api.call(method, path, body)

    def rows(self, plural: str, rows: list[dict[str, Any]], shown: Fields) -> None:
        """A list: a line each, or one JSON object."""
        if self.is_json:
            self.write({plural: rows})
        else:
            for row in rows:
                click.echo(_line(row, shown))

    def one(self, reply: Any, key: str, shown: Fields | None = None) -> None:
        """One thing: its facts a line each, or one line of some of them, or the reply as JSON."""
        if self.is_json:
            self.write(reply)
        elif shown is not None:
            click.echo(_line(reply[key], shown))
        else:
            for name, value in reply[key].items():
                if value not in (None, "", [], {}):
                    click.echo(f"{name}: {_cell(value)}")

    def write(self, value: Any) -> None:
        click.echo(json.dumps(value, ensure_ascii=False, indent=None if not sys.stdout.isatty() else 2))


def _line(row: dict[str, Any], shown: Fields) -> str:
    return "  ".join(_cell(row.get(name)) for name in shown)


def _cell(value: Any) -> str:
    text = "-" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # What agents and strangers wrote is shown, not obeyed by the terminal.
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "?" for sign in text)


pass_session = click.make_pass_decorator(Session)


@click.group()
def project() -> None:
    """Projects: a repository with its tasks and environments."""


@project.command("list")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1))
@pass_session
def list_projects(session: Session, limit: int) -> None:
    with session.api() as api:
        session.rows("projects", list(api.every("/projects", "projects", most=limit)), PROJECT)


@project.command("create")
@click.argument("name")
@click.option("--description")
@click.option("--import-url", help="An existing repository to start from.")
@click.option("--start-command", help="Runs a version; PORT says where to listen.")
@click.option("--test-command", help="Proves a commit.")
@click.option("--field", "fields", multiple=True, metavar="NAME=JSON", help="Any other field of the API.")
@pass_session
def create_project(
    session: Session,
    name: str,
    description: str | None,
    import_url: str | None,
    start_command: str | None,
    test_command: str | None,
    fields: Sequence[str],
) -> None:
    given = {"description": description, "importUrl": import_url, "startCommand": start_command,
             "testCommand": test_command}  # fmt: skip
    body = {"name": name, **{key: value for key, value in given.items() if value is not None}}
    session.one(session.call("POST", "/projects", body | _fields(fields)), "project", PROJECT)


@project.command("show")
@click.argument("named", metavar="PROJECT")
@pass_session
def show_project(session: Session, named: str) -> None:
    with session.api() as api:
        session.one({"project": api.project(named)}, "project")


@project.command("delete")
@click.argument("named", metavar="PROJECT")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def delete_project(session: Session, named: str, yes: bool) -> None:
    """Remove the project, its repository and everything that runs of it."""
    with session.api() as api:
        found = api.project(named)
        if not yes:
            click.confirm(f"Delete {found['name']} with its repository and all its deployments?", abort=True, err=True)
        session.one(api.call("DELETE", f"/projects/{found['id']}"), "project", PROJECT)


@click.group()
def task() -> None:
    """Tasks: written by people, done by agents."""


@task.command("list")
@click.option("--project", "named", help="Its id, name or slug.")
@click.option("--state", type=click.Choice([str(state) for state in TaskState]))
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1))
@pass_session
def list_tasks(session: Session, named: str | None, state: str | None, limit: int) -> None:
    with session.api() as api:
        project_id = api.project(named)["id"] if named else None
        session.rows("tasks", list(api.every("/tasks", "tasks", most=limit, projectId=project_id, state=state)), TASK)


@task.command("create")
@click.argument("named", metavar="PROJECT")
@click.argument("title")
@click.option("--description", default="", help="`-` reads it from the standard input.")
@click.option("--priority", type=click.Choice([priority.label for priority in Priority]), default="medium")
@click.option("--field", "fields", multiple=True, metavar="NAME=JSON", help="Any other field of the API.")
@pass_session
def create_task(
    session: Session, named: str, title: str, description: str, priority: str, fields: Sequence[str]
) -> None:
    text = sys.stdin.read() if description == "-" else description
    with session.api() as api:
        body = {"projectId": api.project(named)["id"], "title": title, "description": text, "priority": priority}
        session.one(api.call("POST", "/tasks", body | _fields(fields)), "task", TASK)


@task.command("show")
@click.argument("task_id", metavar="TASK")
@pass_session
def show_task(session: Session, task_id: str) -> None:
    session.one(session.call("GET", f"/tasks/{task_id}"), "task")


@task.command("approve")
@click.argument("task_id", metavar="TASK")
@click.option("--commit", help="Only if the task is still at this commit.")
@pass_session
def approve_task(session: Session, task_id: str, commit: str | None) -> None:
    body = {"commitSha": commit} if commit else {}
    session.one(session.call("POST", f"/tasks/{task_id}/approve", body), "task", TASK)


@task.command("reject")
@click.argument("task_id", metavar="TASK")
@click.argument("reason")
@pass_session
def reject_task(session: Session, task_id: str, reason: str) -> None:
    session.one(session.call("POST", f"/tasks/{task_id}/reject", {"reason": reason}), "task", TASK)


@task.command("answer")
@click.argument("task_id", metavar="TASK")
@click.argument("response")
@click.option("--question", help="Its id; not needed where one alone is open.")
@pass_session
def answer_question(session: Session, task_id: str, response: str, question: str | None) -> None:
    with session.api() as api:
        if question is None:
            asked = api.call("GET", f"/tasks/{task_id}")["task"]["questions"]
            pending = [one["id"] for one in asked if one["status"] == "pending"]
            if len(pending) != 1:
                raise ApiError(f"{len(pending)} questions are open; name one with --question: {', '.join(pending)}")
            question = pending[0]
        reply = api.call("POST", f"/tasks/{task_id}/respond", {"questionId": question, "response": response})
        session.one(reply, "question", ("id", "status"))


@task.command("cancel")
@click.argument("task_id", metavar="TASK")
@pass_session
def cancel_task(session: Session, task_id: str) -> None:
    session.one(session.call("POST", f"/tasks/{task_id}/cancel"), "task", TASK)


@task.command("retry")
@click.argument("task_id", metavar="TASK")
@pass_session
def retry_task(session: Session, task_id: str) -> None:
    session.one(session.call("POST", f"/tasks/{task_id}/retry"), "task", TASK)


@click.group()
def group() -> None:
    """Groups: approved tasks on their way to staging and production."""


@group.command("create")
@click.argument("named", metavar="PROJECT")
@click.argument("task_ids", metavar="TASK…", nargs=-1, required=True)
@click.option("--name")
@click.option("--notes")
@click.option("--target", type=click.Choice(["staging", "production"]), default="staging", show_default=True)
@pass_session
def create_group(
    session: Session, named: str, task_ids: Sequence[str], name: str | None, notes: str | None, target: str
) -> None:
    with session.api() as api:
        body = {"projectId": api.project(named)["id"], "taskIds": list(task_ids), "targetBranch": target}
        body |= {key: value for key, value in (("name", name), ("notes", notes)) if value is not None}
        session.one(api.call("POST", "/task-groups", body), "taskGroup", GROUP)


@group.command("show")
@click.argument("group_id", metavar="GROUP")
@pass_session
def show_group(session: Session, group_id: str) -> None:
    session.one(session.call("GET", f"/task-groups/{group_id}"), "taskGroup")


@group.command("deploy")
@click.argument("group_id", metavar="GROUP")
@click.argument("environment", type=click.Choice(["staging", "production"]))
@pass_session
def deploy_group(session: Session, group_id: str, environment: str) -> None:
    session.one(session.call("POST", f"/task-groups/{group_id}/deploy-{environment}"), "taskGroup", GROUP)


@click.command()
@click.option("--project", "named", help="Its id, name or slug; all that you may see without it.")
@click.option("--count", type=click.IntRange(1), help="Stop after so many events.")
@pass_session
def watch(session: Session, named: str | None, count: int | None) -> None:
    """Show what happens as it happens, a line each."""
    with session.api() as api:
        project_id = api.project(named)["id"] if named else None
        for number, message in enumerate(follow(api, project_id), 1):
            click.echo(json.dumps(message, ensure_ascii=False) if session.is_json else _cell(line_of(message)))
            sys.stdout.flush()
            if number == count:
                return


def _fields(given: Sequence[str]) -> dict[str, Any]:
    """`NAME=JSON` pairs; what is no JSON is taken as a text."""
    body: dict[str, Any] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair} is not NAME=JSON", param_hint="--field")
        try:
            body[name] = json.loads(text)
        except json.JSONDecodeError:
            body[name] = text
    return body
