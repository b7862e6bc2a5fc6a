"""Completes ids of tasks and groups, and names of projects, by what the platform has now.

A shell waits for it at each Tab: it asks once and briefly, and says nothing where it can't know.
"""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from common.errors import Misconfigured
from web.cli.client import Api
from web.cli.links import read_link
from web.cli.short_ids import GROUPS, TASKS, IdKind
from web.cli.tables import short_id
from web.cli.terminal import JsonObject

SECONDS = 1.5
MOST = 100
_PROJECTS = IdKind("/projects", "projects", "project", "name", "aiworker project list")
_METAVARS = {"TASK": TASKS, "GROUP": GROUPS, "PROJECT": _PROJECTS}
_OPTIONS = {"--group": GROUPS, "--project": _PROJECTS}


class _Named(click.ParamType[str]):
    """A text that names one thing of a sort."""

    name = "text"

    def __init__(self, sort: IdKind) -> None:
        self.sort = sort

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        said = ctx.find_root().params
        items = [_item(self.sort, row) for row in _newest(self.sort, said.get("url"), said.get("token"))]
        return [item for item in items if item.value.startswith(incomplete.lower())]


def complete_ids(command: click.Command) -> None:
    """Let the arguments of the command and of those in it complete what they name. Safe to repeat."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            complete_ids(inner)
    for parameter in command.params:
        sort = _sort_of(parameter)
        if sort is not None and parameter.type is click.STRING:
            parameter.type = _Named(sort)


def _sort_of(parameter: click.Parameter) -> IdKind | None:
    if isinstance(parameter, click.Option):
        return next((_OPTIONS[name] for name in parameter.opts if name in _OPTIONS), None)
    # `[PROJECT] TASK…` names tasks, and only seldom the project before them.
    last = (parameter.metavar or "").split(" ")[-1].strip("[]…")
    return _METAVARS.get(last)


def _newest(sort: IdKind, url: str | None, token: str | None) -> list[JsonObject]:
    """The newest rows, of the linked project if there is one; none without a known token or a quick answer."""
    try:
        with Api(url, token) as api:
            link = None if sort is _PROJECTS else read_link()
            project_id = link.project_id if link is not None and link.url == api.url else None
            page = api.get_or_nothing(sort.path, SECONDS, limit=MOST, projectId=project_id)
    except Misconfigured:
        return []
    rows: list[JsonObject] = page.get(sort.plural, [])
    return rows


def _item(sort: IdKind, row: JsonObject) -> CompletionItem:
    if sort is _PROJECTS:
        return CompletionItem(row["slug"], help=row["name"])
    return CompletionItem(short_id(row["id"]), help=f"{row[sort.title]} ({row.get('state') or row.get('status')})")
