"""`aiworker group …`, `deploy`, `rollback`, `deployments`: bring approved tasks to staging and production, or take them
back."""

from __future__ import annotations

from collections.abc import Sequence

import click

from common.values.states import GROUP_LIVE, Environment, GroupState
from web.cli.api_error import ApiError
from web.cli.client import Api, api_of
from web.cli.commands.group_show import show_group
from web.cli.short_ids import DEPLOYMENTS, GROUPS, MOST, TASKS, whole_id
from web.cli.tables import counted, short_id
from web.cli.terminal import JsonObject, Terminal, cell, pass_terminal
from web.cli.waiting import wait_for_deployment, wait_for_group

GROUP = ("id", "status", "stagingBranch")
DEPLOYMENT = ("id", "environment", "status", "commitSha", "createdAt", "url")
PLACES = ["staging", "production"]
_DEPLOYABLE = {
    "staging": {str(GroupState.PENDING), str(GroupState.MERGING), str(GroupState.MERGED)},
    "production": {str(GroupState.STAGING)},
}
_accepting = click.option(
    "--accept-rolled-back", is_flag=True, help="Deploy even if that brings back changes that were rolled back."
)
_waiting = click.option("--wait", "is_awaited", is_flag=True, help="Return when it is done; fail if it fails.")
_of_project = click.option(
    "--project", "named", help="Id, name or slug of the project. Default: the linked one, else the only one."
)


@click.group()
def group() -> None:
    """Task groups: approved tasks that are deployed together."""


group.add_command(show_group)


@group.command("list")
@click.option("--project", "named", help="Id, name or slug of the project. Default: the linked one, else all.")
@click.option("--status", type=click.Choice([str(state) for state in GroupState]))
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1))
@pass_terminal
def list_groups(terminal: Terminal, named: str | None, status: str | None, limit: int) -> None:
    """List groups, newest first."""
    with api_of(terminal) as api:
        query = {"projectId": api.chosen_project_id(named), "status": status}
        terminal.print_rows(
            "taskGroups", list(api.list_all("/task-groups", "taskGroups", most=limit, **query)), GROUP, most=limit
        )


@group.command("create")
@click.argument("words", metavar="[PROJECT] TASK…", nargs=-1)
@click.option("--approved", "is_all", is_flag=True, help="All approved tasks of the project that are in no group.")
@click.option("--project", "named", help="Id, name or slug of the project. Default: that of the tasks.")
@click.option("--name", help="Name of the group, and of its branch.")
@click.option("--notes", help="Notes for the people who release it.")
@click.option("--target", type=click.Choice(PLACES), default="staging", show_default=True)
@_waiting
@pass_terminal
def create_group(
    terminal: Terminal, words: Sequence[str], is_all: bool, named: str | None, name: str | None, notes: str | None,
    target: str, is_awaited: bool,
) -> None:  # fmt: skip
    """Group approved tasks of one project.

    Merging and testing them starts at once.
    """
    names_tasks = bool(words) and not (is_all and named is None and len(words) == 1)
    if names_tasks == is_all:
        raise click.UsageError("name the tasks, or take all with --approved")
    with api_of(terminal) as api:
        project_id, task_ids = _members(api, words, named, is_all=is_all)
        body = {"projectId": project_id, "taskIds": task_ids, "targetBranch": target}
        body |= {key: value for key, value in (("name", name), ("notes", notes)) if value is not None}
        reply = api.call("POST", "/task-groups", body)
        if is_awaited:
            reply = wait_for_group(api, reply, {"pending", "merging"}, {"merged", "deploying_staging", "staging"})
        terminal.print_object(reply, "taskGroup", GROUP)


def _members(api: Api, words: Sequence[str], named: str | None, *, is_all: bool) -> tuple[str, list[str]]:
    """The ids of the project and of the tasks. The first word may name the project."""
    if is_all:
        project_id = api.required_project(words[0] if words else named)["id"]
        return project_id, _free_tasks(api, project_id)
    project, rest = None if named is None else api.project(named), list(words)
    if project is None and len(rest) > 1 and (project := _project_or_none(api, rest[0])) is not None:
        rest = rest[1:]
    task_ids = [whole_id(api, TASKS, one) for one in rest]
    if project is not None:
        return project["id"], task_ids
    return api.call("GET", f"/tasks/{task_ids[0]}")["task"]["projectId"], task_ids


def _free_tasks(api: Api, project_id: str) -> list[str]:
    """The ids of the project's approved tasks that no live group holds. Raises ApiError if there is none."""
    query = {"projectId": project_id, "state": "approved"}
    approved = [one["id"] for one in api.list_all("/tasks", "tasks", most=MOST, **query)]
    if not approved:
        raise ApiError("no task of the project is approved; see: aiworker task list --state ready_to_test")
    held: set[str] = set()
    for status in sorted(GROUP_LIVE):
        groups = api.list_all("/task-groups", "taskGroups", most=MOST, projectId=project_id, status=str(status))
        held.update(task_id for group in groups for task_id in group["taskIds"])
    free = [task_id for task_id in approved if task_id not in held]
    if not free:
        raise ApiError("every approved task of the project is in a group already; see: aiworker group list")
    return free


def _project_or_none(api: Api, named: str) -> JsonObject | None:
    known = api.list_all("/projects", "projects", most=MOST)
    return next((one for one in known if named in {one["id"], one["name"], one["slug"]}), None)


@group.command("stage")
@click.argument("named", metavar="GROUP")
@_accepting
@_waiting
@pass_terminal
def stage_group(terminal: Terminal, named: str, accept_rolled_back: bool, is_awaited: bool) -> None:
    """Deploy a group to staging.

    At once if it is merged, else as soon as it is.
    """
    with api_of(terminal) as api:
        _deploy(terminal, api, whole_id(api, GROUPS, named), "staging", accept_rolled_back, is_awaited)


@group.command("release")
@click.argument("named", metavar="GROUP")
@_accepting
@_waiting
@pass_terminal
def release_group(terminal: Terminal, named: str, accept_rolled_back: bool, is_awaited: bool) -> None:
    """Deploy to production exactly what a group runs on staging."""
    with api_of(terminal) as api:
        _deploy(terminal, api, whole_id(api, GROUPS, named), "production", accept_rolled_back, is_awaited)


@group.command("deploy")
@click.argument("named", metavar="GROUP")
@click.argument("environment", type=click.Choice(PLACES))
@_accepting
@_waiting
@pass_terminal
def deploy_group(terminal: Terminal, named: str, environment: str, accept_rolled_back: bool, is_awaited: bool) -> None:
    """Deploy a group, as `stage` and `release` do."""
    with api_of(terminal) as api:
        _deploy(terminal, api, whole_id(api, GROUPS, named), environment, accept_rolled_back, is_awaited)


def _deploy(terminal: Terminal, api: Api, group_id: str, environment: str, is_accepted: bool, is_awaited: bool) -> None:
    body = {"acceptRolledBack": True} if is_accepted else None
    reply = api.call("POST", f"/task-groups/{group_id}/deploy-{environment}", body)
    if is_awaited and environment == "staging":
        busy = {"pending", "merging", "merged", "deploying_staging"}
        reply = wait_for_group(api, reply, busy, {"staging", "deploying_production", "production"})
    elif is_awaited:
        reply = wait_for_group(api, reply, {"deploying_production"}, {"production"})
    terminal.print_object(reply, "taskGroup", GROUP)


@group.command("cancel")
@click.argument("named", metavar="GROUP")
@pass_terminal
def cancel_group(terminal: Terminal, named: str) -> None:
    """Give a group up.

    Its tasks are approved again and can join another.
    """
    _act(terminal, named, "cancel")


@group.command("retry")
@click.argument("named", metavar="GROUP")
@pass_terminal
def retry_group(terminal: Terminal, named: str) -> None:
    """Merge and test a group again."""
    _act(terminal, named, "retry")


@group.command("remove")
@click.argument("named", metavar="GROUP")
@click.argument("task", metavar="TASK")
@pass_terminal
def remove_from_group(terminal: Terminal, named: str, task: str) -> None:
    """Take a task out of a group.

    The others are merged and tested again.
    """
    _act(terminal, named, "remove", task)


def _act(terminal: Terminal, named: str, verb: str, task: str | None = None) -> None:
    with api_of(terminal) as api:
        body = None if task is None else {"taskId": whole_id(api, TASKS, task)}
        terminal.print_object(
            api.call("POST", f"/task-groups/{whole_id(api, GROUPS, named)}/{verb}", body), "taskGroup", GROUP
        )


@click.command()
@click.argument("environment", type=click.Choice(PLACES))
@click.argument("named_group", metavar="[GROUP]", required=False)
@_of_project
@_accepting
@_waiting
@pass_terminal
def deploy(
    terminal: Terminal, environment: str, named_group: str | None, named: str | None, accept_rolled_back: bool,
    is_awaited: bool,
) -> None:  # fmt: skip
    """Deploy a group to staging or production.

    GROUP may be left out where only one group of the project can go there.
    """
    with api_of(terminal) as api:
        group_id = whole_id(api, GROUPS, named_group) if named_group else _only_group(api, named, environment)
        _deploy(terminal, api, group_id, environment, accept_rolled_back, is_awaited)


def _only_group(api: Api, named: str | None, environment: str) -> str:
    project = api.required_project(named)
    groups = api.list_all("/task-groups", "taskGroups", most=MOST, projectId=project["id"])
    found = [one for one in groups if one["status"] in _DEPLOYABLE[environment]]
    if len(found) == 1:
        return str(found[0]["id"])
    if not found:
        raise ApiError(f"no group of {project['name']} can go to {environment} now; see: aiworker group list")
    listed = ", ".join(f"{short_id(one['id'])} {one['stagingBranch']}" for one in found)
    raise ApiError(f"{len(found)} groups can go to {environment}, name one: {listed}")


@click.command()
@_of_project
@click.option("--environment", type=click.Choice([str(one) for one in Environment]))
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1))
@pass_terminal
def deployments(terminal: Terminal, named: str | None, environment: str | None, limit: int) -> None:
    """List the deployments of a project, newest first."""
    with api_of(terminal) as api:
        query = {"projectId": api.required_project(named)["id"], "environment": environment}
        found = list(api.list_all("/deployments", "deployments", most=limit, **query))
        terminal.print_rows("deployments", found, DEPLOYMENT, most=limit)


@click.command()
@click.argument("environment", type=click.Choice(PLACES), default="production")
@_of_project
@click.option("--to", "target", metavar="DEPLOYMENT", help="What to go back to. Default: the version before.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@_waiting
@pass_terminal
def rollback(
    terminal: Terminal, environment: str, named: str | None, target: str | None, yes: bool, is_awaited: bool
) -> None:
    """Go back to an older healthy version, of production unless staging is named."""
    with api_of(terminal) as api:
        project = api.required_project(named)
        query = {"projectId": project["id"], "environment": environment, "status": "completed"}
        live = next(api.list_all("/deployments", "deployments", most=1, **query), None)
        if live is None:
            raise ApiError(f"nothing of {project['name']} runs in {environment}")
        to = None if target is None else whole_id(api, DEPLOYMENTS, target)
        plan = api.call("GET", f"/deployments/{live['id']}/rollback", None, toDeploymentId=to)["rollback"]
        if plan["reason"] is not None or plan["target"] is None:
            raise ApiError(f"no rollback now: {plan['reason'] or 'there is no older healthy version'}")
        if not yes:
            terminal.confirm(_consequences(environment, plan))
        body = {"toDeploymentId": plan["target"]["id"]}
        reply = api.call("POST", f"/deployments/{live['id']}/rollback", body)
        if is_awaited:
            wait_for_deployment(api, reply["rollbackDeploymentId"], reply["job"])
        if terminal.is_json:
            terminal.print_json(reply)
        else:
            terminal.print_line(
                f"{reply['rollbackDeploymentId']}  {environment} goes back to {plan['target']['commitSha'][:12]}"
            )


def _consequences(environment: str, plan: JsonObject) -> str:
    titles = "".join(f"\n  {short_id(task['id'])}  {cell(task['title'])}" for task in plan["tasks"])
    taken = f", which takes back {counted(len(plan['tasks']), 'task')}:{titles}\nGo on?" if titles else "?"
    return f"Roll {environment} back to {plan['target']['commitSha'][:12]}{taken}"
