"""Waiting for long work: what it does now is shown on standard error, with a bar while a job reports its progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection

import click

from web.cli.api_error import ApiError
from web.cli.client import Api
from web.cli.tables import cut, short_id
from web.cli.terminal import JsonObject, cell

POLL_SECONDS = 1.0
BAR_COLUMNS = 24
LINE_COLUMNS = 78
LONGEST_REASON = 300
_AT_WORK = {"queued", "running"}


class Progress:
    """One line that is written again on a terminal; elsewhere a line for each change. Leaving clears the line."""

    def __init__(self) -> None:
        self._shown = ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._shown and sys.stderr.isatty():
            click.echo(f"\r{'':<{LINE_COLUMNS}}\r", nl=False, err=True)

    def pause(self, line: str) -> None:
        """Show what is done now, and wait a moment before the next look."""
        if sys.stderr.isatty():
            click.echo(f"\r{cut(line, LINE_COLUMNS):<{LINE_COLUMNS}}", nl=False, err=True)
        elif line != self._shown:
            click.echo(line, err=True)
        self._shown = line
        time.sleep(POLL_SECONDS)


def wait_for_group(api: Api, reply: JsonObject, busy: Collection[str], wanted: Collection[str]) -> JsonObject:
    """Wait until the group of the reply is in no busy state; the reply with the group as it is then.

    Raises ApiError with the problems if it is not in a wanted state then.
    """
    group = reply["taskGroup"]
    job_id = (reply.get("job") or {}).get("id")
    with Progress() as progress:
        # A merged group whose error is set was refused on its way to staging: it stays merged until a person acts.
        while group["status"] in busy and not (group["status"] == "merged" and group["error"]):
            bar = "" if job_id is None else _bar(api.get_patiently(f"/jobs/{job_id}")["job"])
            progress.pause(f"{group['status']} {bar}".rstrip())
            group = api.get_patiently(f"/task-groups/{group['id']}")["taskGroup"]
    if group["status"] not in wanted:
        faults = [group["error"], *(f"{one['kind']}: {one['detail']}" for one in group["problems"])]
        raise ApiError(f"group {short_id(group['id'])} is {group['status']}{_reason(*faults)}")
    return {**reply, "taskGroup": group}


def wait_for_deployment(api: Api, deployment_id: str, job: JsonObject) -> JsonObject:
    """Wait until the job of a deployment is over; the deployment. Raises ApiError unless it is healthy.

    job: as a reply names it, which does not say how far it is.
    """
    with Progress() as progress:
        while job["state"] in _AT_WORK:
            progress.pause(f"{job['state']} {_bar(job)}".rstrip())
            job = api.get_patiently(f"/jobs/{job['id']}")["job"]
    deployment: JsonObject = api.get_patiently(f"/deployments/{deployment_id}")["deployment"]
    if deployment["status"] != "completed":
        why = _reason(deployment.get("error"), job.get("error"))
        raise ApiError(f"deployment {short_id(deployment_id)} is {deployment['status']}{why}")
    return deployment


def wait_for_project(api: Api, reply: JsonObject) -> JsonObject:
    """Wait until the project of the reply can be worked in; the reply with it. Raises ApiError if it can't."""
    project = reply["project"]
    with Progress() as progress:
        while project["status"] == "provisioning":
            progress.pause("provisioning")
            project = api.get_patiently(f"/projects/{project['id']}")["project"]
    if project["status"] != "active":
        raise ApiError(f"project {project['name']} is {project['status']}{_reason(project.get('error'))}")
    return {**reply, "project": project}


def _reason(*faults: str | None) -> str:
    why = "; ".join(" ".join(cell(fault).split())[:LONGEST_REASON] for fault in faults if fault)
    return f": {why}" if why else ""


def _bar(job: JsonObject) -> str:
    progress = job.get("progress") or {"done": None, "total": None, "message": None}
    message = cell(progress["message"]) if progress["message"] else ""
    if not progress["total"]:
        return message
    done = min(progress["done"] or 0, progress["total"])
    filled = BAR_COLUMNS * done // progress["total"]
    return f"[{'#' * filled}{'-' * (BAR_COLUMNS - filled)}] {done}/{progress['total']} {message}".rstrip()
