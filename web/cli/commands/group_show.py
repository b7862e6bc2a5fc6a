"""`aiworker group show`: what is in a group, what its tests say, and where it runs."""

from __future__ import annotations

from collections.abc import Iterator

import click

from web.cli.client import api_of
from web.cli.commands.task_show import NEXT_OF_GROUP, check_lines
from web.cli.short_ids import GROUPS, MOST, whole_id
from web.cli.tables import short_id
from web.cli.terminal import JsonObject, Terminal, cell, pass_terminal


@click.command("show")
@click.argument("named", metavar="GROUP")
@pass_terminal
def show_group(terminal: Terminal, named: str) -> None:
    """Show a group: its tasks, checks, problems and deployments."""
    with api_of(terminal) as api:
        reply = api.call("GET", f"/task-groups/{whole_id(api, GROUPS, named)}")
        if not terminal.is_screen:
            terminal.print_object(reply, "taskGroup")
            return
        group = reply["taskGroup"]
        tasks = {one["id"]: one for one in api.list_all("/tasks", "tasks", most=MOST, projectId=group["projectId"])}
    for line in _described(terminal, group, tasks):
        terminal.print_line(line)


def _described(terminal: Terminal, group: JsonObject, tasks: dict[str, JsonObject]) -> Iterator[str]:
    yield terminal.styled(cell(group["name"] or group["stagingBranch"]), bold=True)
    yield f"{short_id(group['id'])}  {terminal.coloured_state(group['status'])}  {cell(group['stagingBranch'])}"
    if group["rolledBackAt"]:
        yield terminal.styled("Rolled back from production", fg="red")
    if group["error"]:
        yield f"Why: {cell(group['error'])}"
    if group["notes"]:
        yield cell(group["notes"].rstrip())
    yield ""
    for task_id in group["taskIds"]:
        yield f"{short_id(task_id)}  {cell(tasks[task_id]['title']) if task_id in tasks else '(deleted)'}"
    for problem in group["problems"]:
        of_task = f" {short_id(problem['taskId'])}" if problem["taskId"] else ""
        yield f"{terminal.styled(problem['kind'], fg='red')}{of_task}: {cell(problem['detail'])}"
    if group["checks"]:
        yield ""
        yield from check_lines(terminal, group["checks"])
    for one in group["deployments"]:
        yield f"{one['environment']}  {terminal.coloured_state(one['status'])}  {cell(one['url'])}"
    if group["status"] in NEXT_OF_GROUP:
        yield ""
        yield f"Next: {NEXT_OF_GROUP[group['status']].format(id=short_id(group['id']))}"
