"""`aiworker init`: link a git repository to its project, so that commands in it need not name the project."""

from __future__ import annotations

from pathlib import Path

import click

from web.cli.api_error import ApiError
from web.cli.client import Api, api_of
from web.cli.links import Link, git, remove_link, write_link
from web.cli.short_ids import MOST
from web.cli.terminal import JsonObject, Terminal, pass_terminal


@click.command()
@click.argument("named", metavar="[PROJECT]", required=False)
@click.option("--remove", is_flag=True, help="Remove the link.")
@pass_terminal
def init(terminal: Terminal, named: str | None, remove: bool) -> None:
    """Link this git repository to a project; only its .git/config is written.

    PROJECT: id, name or slug. Default: the project that a remote leads to, else the one with the folder's name.
    """
    top = git("rev-parse", "--show-toplevel")
    if not top:
        raise ApiError("this is no git repository; run it in one, or make one: git init")
    if remove:
        remove_link()
        _say(terminal, None, f"{top} is linked to no project.")
        return
    with api_of(terminal) as api:
        project = api.project(named) if named else _guess(api, Path(top).name)
        write_link(Link(api.url, project["id"]))
        _say(terminal, project, f"{top} is linked to {project['name']} at {api.url}.")


def _guess(api: Api, folder: str) -> JsonObject:
    addresses = {_bare(line.split()[1]) for line in (git("remote", "--verbose") or "").splitlines()}
    projects = list(api.list_all("/projects", "projects", most=MOST))
    found = [one for one in projects if _bare(one["giteaRepoUrl"]) in addresses]
    found = found or [one for one in projects if folder in {one["name"], one["slug"]}]
    if len(found) != 1:
        raise ApiError(f"it is not clear which project {folder} is: aiworker init PROJECT; see: aiworker project list")
    return found[0]


def _bare(address: str) -> str:
    """The address of a repository without what does not tell repositories apart: a user, and `.git`."""
    scheme, separator, rest = address.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}".removesuffix("/").removesuffix(".git").lower()


def _say(terminal: Terminal, project: JsonObject | None, words: str) -> None:
    if terminal.is_json:
        terminal.print_json({"project": project})
    else:
        click.echo(words)
