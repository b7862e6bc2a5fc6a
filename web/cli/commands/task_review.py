"""`aiworker task review`: look at a task's checks and changes, and decide."""

from __future__ import annotations

import click

from web.cli.api_error import ApiError
from web.cli.client import Api, api_of
from web.cli.commands.task_show import check_lines, shown_patch, stat_lines
from web.cli.short_ids import TASKS, whole_id
from web.cli.tables import short_id
from web.cli.terminal import JsonObject, Terminal, cell, has_colour, pass_terminal

SHOWN = ("id", "state", "priority", "title")


@click.command("review")
@click.argument("named", metavar="TASK")
@click.option("--approve", "is_approved", is_flag=True, help="Approve without asking.")
@click.option("--reject", "reason", metavar="REASON", help="Send it back with this reason, without asking.")
@pass_terminal
def review_task(terminal: Terminal, named: str, is_approved: bool, reason: str | None) -> None:
    """Look at checks and changes, then approve or send back.

    Exactly the commit that was shown is approved: a later push is refused. Without a terminal, or with --json, it only
    shows, unless --approve or --reject is given.
    """
    if is_approved and reason is not None:
        raise click.UsageError("--approve and --reject exclude each other")
    with api_of(terminal) as api:
        task_id = whole_id(api, TASKS, named)
        task = api.call("GET", f"/tasks/{task_id}")["task"]
        if is_approved or reason is not None:
            _decide(terminal, api, task, reason)
            return
        diff = api.call("GET", f"/tasks/{task_id}/diff")
        if terminal.is_json:
            terminal.print_json({"task": task, "diff": diff})
            return
        _show(terminal, task, diff)
        if terminal.is_screen and task["state"] == "ready_to_test":
            _ask(terminal, api, task, diff)


def _show(terminal: Terminal, task: JsonObject, diff: JsonObject) -> None:
    terminal.print_line(terminal.styled(cell(task["title"]), bold=True))
    terminal.print_line(
        f"{short_id(task['id'])}  {terminal.coloured_state(task['state'])}  {(task['headSha'] or 'no commit')[:12]}"
    )
    if task["previewUrl"]:
        terminal.print_line(f"Preview: {cell(task['previewUrl'])}")
    for line in (*check_lines(terminal, task["checks"]), *stat_lines(terminal, diff)):
        terminal.print_line(line)


def _ask(terminal: Terminal, api: Api, task: JsonObject, diff: JsonObject) -> None:
    while True:
        said = click.prompt("[d]iff, [a]pprove, [r]eject, [q]uit", err=True, type=click.Choice(["d", "a", "r", "q"]))
        if said == "d":
            click.echo_via_pager(shown_patch(terminal, diff["patch"]), color=has_colour())
        elif said == "q":
            return
        else:
            _decide(terminal, api, task, click.prompt("Reason", err=True) if said == "r" else None)
            return


def _decide(terminal: Terminal, api: Api, task: JsonObject, reason: str | None) -> None:
    if reason is not None:
        reply = api.call("POST", f"/tasks/{task['id']}/reject", {"reason": reason})
    elif task["headSha"] is None:
        raise ApiError(f"task {short_id(task['id'])} is {task['state']}: it has no proven commit yet")
    else:
        reply = api.call("POST", f"/tasks/{task['id']}/approve", {"commitSha": task["headSha"]})
    terminal.print_object(reply, "task", SHOWN)
