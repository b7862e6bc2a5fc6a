"""`aiworker project …`: make projects, list them, delete them."""

from __future__ import annotations

from collections.abc import Sequence

import click

from common.values.egress import Egress
from web.cli.client import api_of
from web.cli.commands.project_import import import_project
from web.cli.json_fields import fields_of
from web.cli.terminal import Terminal, pass_terminal
from web.cli.waiting import wait_for_project

PROJECT = ("id", "name", "status", "giteaRepoUrl")
EGRESS = [str(egress) for egress in Egress]


@click.group()
def project() -> None:
    """Projects: a repository with its tasks and environments."""


project.add_command(import_project)


@project.command("list")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1))
@pass_terminal
def list_projects(terminal: Terminal, limit: int) -> None:
    """List projects, newest first."""
    with api_of(terminal) as api:
        terminal.print_rows("projects", list(api.list_all("/projects", "projects", most=limit)), PROJECT, most=limit)


@project.command("create")
@click.argument("name")
@click.option("--description")
@click.option("--import-url", help="The address of an existing repository to import.")
@click.option("--start-command", help="Command that starts the application; it listens on $PORT.")
@click.option("--test-command", help="Command that tests a commit.")
@click.option("--egress", type=click.Choice(EGRESS), help="What agents, tests and previews may reach.")
@click.option("--field", "fields", multiple=True, metavar="NAME=JSON", help="Another field of the API's request.")
@click.option("--wait", "is_awaited", is_flag=True, help="Return when it can be worked in; fail if it can't.")
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
    is_awaited: bool,
) -> None:
    """Make a project, empty or from an existing repository."""
    given = {"description": description, "importUrl": import_url, "startCommand": start_command,
             "testCommand": test_command, "egress": egress}  # fmt: skip
    body = {"name": name, **{key: value for key, value in given.items() if value is not None}}
    with api_of(terminal) as api:
        reply = api.call("POST", "/projects", body | fields_of(fields))
        terminal.print_object(wait_for_project(api, reply) if is_awaited else reply, "project", PROJECT)


@project.command("show")
@click.argument("named", metavar="PROJECT")
@pass_terminal
def show_project(terminal: Terminal, named: str) -> None:
    """Show all fields of a project."""
    with api_of(terminal) as api:
        terminal.print_object({"project": api.project(named)}, "project")


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
        terminal.print_object(api.call("DELETE", f"/projects/{found['id']}"), "project", PROJECT)
