"""`aiworker task …`: write tasks, list them, and move them on.

Reading their work is in web/cli/commands/task_show.py.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from common.values.states import Priority, TaskState
from web.cli.client import Api, api_of
from web.cli.commands.task_review import review_task
from web.cli.commands.task_show import diff_task, show_logs, show_task, watch_task
from web.cli.json_fields import fields_of
from web.cli.short_ids import TASKS, question_id, whole_id
from web.cli.terminal import JsonObject, Terminal, cell, pass_terminal

TASK = ("id", "state", "priority", "title", "parked")
NONE = "none"
PRIORITIES = [priority.label for priority in Priority]


@click.group()
def task() -> None:
    """Tasks: written by people, done by agents."""


for _command in (show_task, watch_task, diff_task, show_logs, review_task):
    task.add_command(_command)


@task.command("list")
@click.option("--project", "named", help="Id, name or slug of the project. Default: the linked one, else all.")
@click.option("--all", "is_all", is_flag=True, help="Of all projects, also where the repository is linked to one.")
@click.option("--state", type=click.Choice([str(state) for state in TaskState]))
@click.option("--priority", type=click.Choice(PRIORITIES))
@click.option("--search", metavar="WORDS", help="Only with these words in the title.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1))
@pass_terminal
def list_tasks(
    terminal: Terminal, named: str | None, is_all: bool, state: str | None, priority: str | None,
    search: str | None, limit: int,
) -> None:  # fmt: skip
    """List tasks, newest first."""
    with api_of(terminal) as api:
        project_id = None if is_all else api.chosen_project_id(named)
        query = {"projectId": project_id, "state": state, "priority": priority, "q": search}
        terminal.print_rows("tasks", list(api.list_all("/tasks", "tasks", most=limit, **query)), TASK, most=limit)


@task.command("add")
@click.argument("words", metavar="TITLE…", nargs=-1, required=True)
@click.option("--project", "named", help="Id, name or slug of the project. Default: the linked one, else the only one.")
@click.option("-d", "--description", default="", help="Text of the task; `-` reads it from standard input.")
@click.option("-p", "--priority", type=click.Choice(PRIORITIES), default="medium", show_default=True)
@click.option("-l", "--label", "labels", multiple=True, help="A label; may be repeated.")
@click.option("--after", "before", multiple=True, metavar="TASK", help="A task that has to be done before.")
@click.option("--field", "fields", multiple=True, metavar="NAME=JSON", help="Another field of the API's request.")
@pass_terminal
def add_task(
    terminal: Terminal, words: Sequence[str], named: str | None, description: str, priority: str,
    labels: Sequence[str], before: Sequence[str], fields: Sequence[str],
) -> None:  # fmt: skip
    """Write a task: aiworker task add Show the total in the cart."""
    with api_of(terminal) as api:
        body = {"projectId": api.required_project(named)["id"], "title": " ".join(words), "priority": priority}
        body |= {"description": _text(description)}
        if labels:
            body["labels"] = list(labels)
        if before:
            body["dependsOn"] = [whole_id(api, TASKS, one) for one in before]
        terminal.print_object(api.call("POST", "/tasks", body | fields_of(fields)), "task", TASK)


@task.command("create")
@click.argument("named", metavar="PROJECT")
@click.argument("title")
@click.option("--description", default="", help="Text of the task; `-` reads it from standard input.")
@click.option("--priority", type=click.Choice(PRIORITIES), default="medium")
@click.option("--field", "fields", multiple=True, metavar="NAME=JSON", help="Another field of the API's request.")
@pass_terminal
def create_task(
    terminal: Terminal, named: str, title: str, description: str, priority: str, fields: Sequence[str]
) -> None:
    """Write a task in a project; `task add` is shorter."""
    with api_of(terminal) as api:
        body = {"projectId": api.project(named)["id"], "title": title, "priority": priority}
        body |= {"description": _text(description)}
        terminal.print_object(api.call("POST", "/tasks", body | fields_of(fields)), "task", TASK)


@task.command("edit")
@click.argument("named", metavar="TASK")
@click.option("--title", help="Its new title.")
@click.option("-d", "--description", help="Its new text; `-` reads it from standard input.")
@click.option("-p", "--priority", type=click.Choice(PRIORITIES))
@click.option("-l", "--label", "labels", multiple=True, help="A label; may be repeated. They replace the present ones.")
@click.option("--driver", help="Who does it from the next run on; `none`: whom the project names.")
@click.option("--model", help="With which model; `none`: the one that the project names.")
@click.option(
    "--after", "before", multiple=True, metavar="TASK",
    help="A task that has to be done before; may be repeated. They replace the present ones; `none`: no task.",
)  # fmt: skip
@click.option("--field", "fields", multiple=True, metavar="NAME=JSON", help="Another field of the API's request.")
@pass_terminal
def edit_task(
    terminal: Terminal, named: str, title: str | None, description: str | None, priority: str | None,
    labels: Sequence[str], driver: str | None, model: str | None, before: Sequence[str], fields: Sequence[str],
) -> None:  # fmt: skip
    """Change a task: aiworker task edit 4f0c --driver codex."""
    text = None if description is None else _text(description)
    own = {"title": title, "description": text, "priority": priority, "labels": list(labels) or None}
    body: JsonObject = {name: value for name, value in own.items() if value is not None}
    wishes = {"driver": driver, "model": model}
    body |= {name: None if value == NONE else value for name, value in wishes.items() if value is not None}
    with api_of(terminal) as api:
        task_id = whole_id(api, TASKS, named)
        if before:
            body["dependsOn"] = [whole_id(api, TASKS, one) for one in before if one != NONE]
        body |= fields_of(fields)
        if not body:
            raise click.UsageError("Nothing to change: give at least one option.")
        terminal.print_object(api.call("PATCH", f"/tasks/{task_id}", body), "task", TASK)


def _text(description: str) -> str:
    return sys.stdin.read() if description == "-" else description


@task.command("approve")
@click.argument("named", metavar="TASK")
@click.option("--commit", help="Approve only if this is still the task's commit.")
@pass_terminal
def approve_task(terminal: Terminal, named: str, commit: str | None) -> None:
    """Approve the task's commit for delivery."""
    _act(terminal, named, "approve", {"commitSha": commit} if commit else {})


@task.command("reject")
@click.argument("named", metavar="TASK")
@click.argument("reason")
@pass_terminal
def reject_task(terminal: Terminal, named: str, reason: str) -> None:
    """Send the task back to its agent, with the reason."""
    _act(terminal, named, "reject", {"reason": reason})


@task.command("answer")
@click.argument("named", metavar="TASK")
@click.argument("response", required=False)
@click.option("--question", help="Id of the question; needed if several are open.")
@pass_terminal
def answer_question(terminal: Terminal, named: str, response: str | None, question: str | None) -> None:
    """Answer the agent's question. Without an answer, the question is shown first."""
    with api_of(terminal) as api:
        task_id = whole_id(api, TASKS, named)
        asked = question_id(api.call("GET", f"/tasks/{task_id}")["task"]["questions"], question)
        body = {"questionId": asked["id"], "response": _ask(asked) if response is None else response}
        terminal.print_object(api.call("POST", f"/tasks/{task_id}/respond", body), "question", ("id", "status"))


def _ask(asked: JsonObject) -> str:
    """The answer that is typed: a text, or the number of an option."""
    click.echo(cell(asked["question"]), err=True)
    if asked["context"]:
        click.echo(cell(asked["context"]), err=True)
    for number, option in enumerate(asked["options"], 1):
        click.echo(f"  {number}  {cell(option)}", err=True)
    said: str = click.prompt("Answer" if not asked["options"] else "Answer or number", err=True)
    is_option = said.isdecimal() and 1 <= int(said) <= len(asked["options"])
    return str(asked["options"][int(said) - 1]) if is_option else said


@task.command("cancel")
@click.argument("named", metavar="TASK")
@pass_terminal
def cancel_task(terminal: Terminal, named: str) -> None:
    """Cancel the task: its run ends, its pull request is closed."""
    _act(terminal, named, "cancel")


@task.command("retry")
@click.argument("named", metavar="TASK")
@pass_terminal
def retry_task(terminal: Terminal, named: str) -> None:
    """Put a failed task back into the backlog."""
    _act(terminal, named, "retry")


@task.command("resume")
@click.argument("named", metavar="TASK")
@pass_terminal
def resume_task(terminal: Terminal, named: str) -> None:
    """Let a parked task go on now."""
    _act(terminal, named, "resume")


@task.command("say")
@click.argument("named", metavar="TASK")
@click.argument("text")
@click.option("--on", "place", metavar="PATH:LINE", help="The place in the task's files that it is about.")
@pass_terminal
def comment_on_task(terminal: Terminal, named: str, text: str, place: str | None) -> None:
    """Comment on the task; its next run reads it."""
    body: JsonObject = {"body": text}
    if place is not None:
        path, _colon, line = place.rpartition(":")
        if not path or not line.isdecimal():
            raise click.BadParameter(f"{place} is not PATH:LINE", param_hint="--on")
        body |= {"path": path, "line": int(line)}
    with api_of(terminal) as api:
        reply = api.call("POST", f"/tasks/{whole_id(api, TASKS, named)}/comments", body)
        terminal.print_object(reply, "comment", ("id", "author", "body"))


def _act(terminal: Terminal, named: str, verb: str, body: JsonObject | None = None) -> None:
    api: Api
    with api_of(terminal) as api:
        reply = api.call("POST", f"/tasks/{whole_id(api, TASKS, named)}/{verb}", body)
        terminal.print_object(reply, "task", TASK)
