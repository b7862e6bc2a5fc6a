"""Waiting for a group: what it does now is shown on standard error, with a bar while a job reports its progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection

import click

from web.cli.api_error import ApiError
from web.cli.client import Api
from web.cli.tables import cut, short_id
from web.cli.terminal import JsonObject, Terminal, cell

POLL_SECONDS = 1.0
BAR_COLUMNS = 24
LINE_COLUMNS = 78


def wait_for_group(
    terminal: Terminal, api: Api, reply: JsonObject, busy: Collection[str], wanted: Collection[str]
) -> JsonObject:
    """Wait until the group of the reply is in no busy state; the reply with the group as it is then.

    Raises ApiError with the problems if it is not in a wanted state then.
    """
    group, shown = reply["taskGroup"], None
    job_id = (reply.get("job") or {}).get("id")
    while group["status"] in busy:
        line = f"{group['status']} {_bar(api, job_id)}".rstrip()
        _show(line, is_new=line != shown)
        shown = line
        time.sleep(POLL_SECONDS)
        group = api.call("GET", f"/task-groups/{group['id']}")["taskGroup"]
    if shown is not None and sys.stderr.isatty():
        click.echo(f"\r{'':<{LINE_COLUMNS}}\r", nl=False, err=True)
    if group["status"] not in wanted:
        faults = [group["error"], *(f"{one['kind']}: {one['detail']}" for one in group["problems"])]
        why = "; ".join(" ".join(cell(fault).split())[:300] for fault in faults if fault)
        raise ApiError(f"group {short_id(group['id'])} is {group['status']}{f': {why}' if why else ''}")
    return {**reply, "taskGroup": group}


def _bar(api: Api, job_id: str | None) -> str:
    if job_id is None:
        return ""
    progress = api.call("GET", f"/jobs/{job_id}")["job"]["progress"]
    message = cell(progress["message"]) if progress["message"] else ""
    if not progress["total"]:
        return message
    done = min(progress["done"] or 0, progress["total"])
    filled = BAR_COLUMNS * done // progress["total"]
    return f"[{'#' * filled}{'-' * (BAR_COLUMNS - filled)}] {done}/{progress['total']} {message}".rstrip()


def _show(line: str, *, is_new: bool) -> None:
    """One line that is written again on a terminal; elsewhere a line for each change."""
    if sys.stderr.isatty():
        click.echo(f"\r{cut(line, LINE_COLUMNS):<{LINE_COLUMNS}}", nl=False, err=True)
    elif is_new:
        click.echo(line, err=True)
