"""`aiworker open`: the page of a task, a group or a project in the browser."""

from __future__ import annotations

import webbrowser

import click

from web.cli.client import Api, api_of
from web.cli.short_ids import GROUPS, TASKS, whole_id
from web.cli.terminal import Terminal, pass_terminal


@click.command("open")
@click.argument("named_task", metavar="[TASK]", required=False)
@click.option("--group", "named_group", help="Id of a group.")
@click.option("--project", "named", help="Id, name or slug of a project.")
@click.option(
    "--print", "is_printed", is_flag=True, help="Only print the address; so it is where there is no terminal."
)
@pass_terminal
def open_page(
    terminal: Terminal, named_task: str | None, named_group: str | None, named: str | None, is_printed: bool
) -> None:
    """Open the page of a task, a group or the project in the browser."""
    if sum(one is not None for one in (named_task, named_group, named)) > 1:
        raise click.UsageError("name one of TASK, --group and --project")
    with api_of(terminal) as api:
        address = f"{api.url}/{_view(api, named_task, named_group, named)}"
    if terminal.is_json:
        terminal.print_json({"url": address})
        return
    click.echo(address)
    if terminal.is_screen and not is_printed:
        webbrowser.open(address)


def _view(api: Api, named_task: str | None, named_group: str | None, named: str | None) -> str:
    if named_task is not None:
        task = api.call("GET", f"/tasks/{whole_id(api, TASKS, named_task)}")["task"]
        return f"#/projects/{task['projectId']}/tasks/{task['id']}"
    if named_group is not None:
        group = api.call("GET", f"/task-groups/{whole_id(api, GROUPS, named_group)}")["taskGroup"]
        return f"#/projects/{group['projectId']}/groups/{group['id']}"
    project = api.chosen_project(named)
    return "" if project is None else f"#/projects/{project['id']}/tasks"
