"""`aiworker spend`: what the models have cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from web.cli.client import api_of
from web.cli.tables import counted
from web.cli.terminal import JsonObject, Terminal, pass_terminal

BY = ["day", "project", "person", "driver", "model"]
MOST_DAYS = 399
"""The API answers for 400 at most, up to its own clock, which may be a little ahead of this one."""
COLUMNS = ("label", "costUsd", "tokens", "calls", "runs", "tasks", "minutes")


@click.command()
@click.option("--by", type=click.Choice(BY), default="day", show_default=True, help="What the calls are grouped by.")
@click.option("--project", "named", help="Id, name or slug of the project. Default: the linked one, else all.")
@click.option(
    "--days",
    type=click.IntRange(1, MOST_DAYS),
    default=30,
    show_default=True,
    help="How many days, with today (in UTC).",
)
@pass_terminal
def spend(terminal: Terminal, by: str, named: str | None, days: int) -> None:
    """Show what the models have cost, with the total in the last line."""
    with api_of(terminal) as api:
        project_id = api.chosen_project_id(named)
        since = datetime.now(UTC).date() - timedelta(days=days - 1)
        found = api.call("GET", "/spend", None, by=by, projectId=project_id, **{"from": since.isoformat()})
    if terminal.is_json:
        terminal.print_json(found)
        return
    terminal.print_rows(
        "groups", [_row(one) for one in (*found["groups"], {**found["total"], "label": "total"})], COLUMNS
    )
    if found["isCut"]:
        click.echo("There are too many groups: the cheapest are not shown.", err=True)
    if found["total"]["unpricedCalls"]:
        calls = counted(found["total"]["unpricedCalls"], "call has", "calls have")
        click.echo(f"{calls} no known price.", err=True)


def _row(group: JsonObject) -> JsonObject:
    return {**group, "label": group["label"] or "-", "costUsd": f"{group['costUsd']:.2f}",
            "minutes": f"{group['minutes']:.0f}"}  # fmt: skip
