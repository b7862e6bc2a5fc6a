"""`aiworker task show|watch|diff|logs`: what a task is, what it becomes, and the work of its agents."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import click

from common.values.states import GROUP_LIVE, Phase, TaskState
from web.cli.api_error import ApiError
from web.cli.client import Api, api_of
from web.cli.commands.watch import follow
from web.cli.short_ids import TASKS, whole_id
from web.cli.tables import counted, short_id
from web.cli.terminal import JsonObject, Terminal, as_json, cell, has_colour, pass_terminal, require_reader, time_of

POLL_SECONDS = 1.0
PAGE = 500
_RESTING = {
    str(state)
    for state in (
        TaskState.NEEDS_INPUT, TaskState.READY_TO_TEST, TaskState.APPROVED, TaskState.STAGING, TaskState.PRODUCTION,
        TaskState.FAILED, TaskState.CANCELLED,
    )
}  # fmt: skip
"""States in which no agent works on a task: the next step is a person's, or there is none."""
_LOST = {str(TaskState.FAILED), str(TaskState.CANCELLED)}
_NEXT = {
    "needs_input": "aiworker task answer {id}",
    "ready_to_test": "aiworker task review {id}",
    "approved": "aiworker group create {id}",
    "failed": "aiworker task retry {id}",
}
NEXT_OF_GROUP = {
    "merged": "aiworker group stage {id}",
    "staging": "aiworker group release {id}",
    "failed": "aiworker group retry {id}",
}
_LIVE_GROUP = {str(status) for status in GROUP_LIVE}
_MARKS = {"passed": ("✓", "green"), "failed": ("✗", "red")}


@click.command("show")
@click.argument("named", metavar="TASK")
@pass_terminal
def show_task(terminal: Terminal, named: str) -> None:
    """Show a task with its questions, checks and next step."""
    with api_of(terminal) as api:
        reply = api.call("GET", f"/tasks/{whole_id(api, TASKS, named)}")
    if not terminal.is_screen:
        terminal.print_object(reply, "task")
        return
    task = reply["task"]
    for line in _described(terminal, task):
        terminal.print_line(line)


def _described(terminal: Terminal, task: JsonObject) -> Iterator[str]:
    yield terminal.styled(cell(task["title"]), bold=True)
    phase = f" ({task['phase']})" if task["phase"] else ""
    state, project = terminal.coloured_state(task["state"]), cell(task["project"]["name"])
    yield f"{short_id(task['id'])}  {state}{phase}  {task['priority']}  {project}"
    spent = task["spent"]
    if spent["runs"]:
        runs, tokens = counted(spent["runs"], "run"), counted(spent["tokens"], "token")
        yield f"{runs}, {tokens}, ${spent['costUsd']:.2f}, {spent['minutes']:.0f} min"
    for name, value in (("Branch", task["branchName"]), ("Preview", task["previewUrl"]), ("Why", task["error"])):
        if value:
            yield f"{name}: {cell(value)}"
    if task["description"]:
        yield ""
        yield cell(task["description"].rstrip())
    if task["checks"]:
        yield ""
        yield from check_lines(terminal, task["checks"])
    for asked in task["questions"]:
        if asked["status"] == "pending":
            yield ""
            yield f"{terminal.styled('Asks', fg='yellow')} {short_id(asked['id'])}: {cell(asked['question'])}"
            yield from (f"  {number}  {cell(option)}" for number, option in enumerate(asked["options"], 1))
    if step := _next_step(task):
        yield ""
        yield f"Next: {step}"


def _next_step(task: JsonObject) -> str | None:
    """The command that brings the task on; None if there is none. What a live group holds goes on with the group."""
    group = task["taskGroup"]
    if group is not None and group["status"] in _LIVE_GROUP:
        return NEXT_OF_GROUP.get(group["status"], "aiworker group show {id}").format(id=short_id(group["id"]))
    step = _NEXT.get(task["state"])
    return step and step.format(id=short_id(task["id"]))


def check_lines(terminal: Terminal, checks: list[JsonObject]) -> Iterator[str]:
    """A line for each check, with the end of the log of those that failed."""
    for check in checks:
        sign, colour = _MARKS.get(check["status"], ("·", None))
        message = f": {cell(check['message'])}" if check["message"] else ""
        yield f"{terminal.styled(sign, fg=colour)} {cell(check['name'])}{message}"
        if check["status"] == "failed" and check.get("log"):
            yield from (f"    {cell(line)}" for line in check["log"].rstrip().splitlines()[-10:])


@click.command("watch")
@click.argument("named", metavar="TASK")
@pass_terminal
def watch_task(terminal: Terminal, named: str) -> None:
    """Follow a task until a person has to act or it is over.

    Fails if the task failed or was cancelled.
    """
    with api_of(terminal) as api:
        task_id = whole_id(api, TASKS, named)
        project_id = api.call("GET", f"/tasks/{task_id}")["task"]["projectId"]
        state = None
        for task in _changes(api, task_id, project_id):
            state = task["state"]
            _tell(terminal, task)
            if state in _RESTING or _needs_a_person(task):
                break
        if state in _LOST:
            raise ApiError(f"task {short_id(task_id)} is {state}")


def _needs_a_person(task: JsonObject) -> bool:
    """Whether a task in progress goes on only once somebody hands it back, or raises a cap that is not a day's."""
    is_stopped = task["phase"] == str(Phase.PARKED) and task["parked"] is not None and task["parked"]["until"] is None
    return is_stopped or task["phase"] == str(Phase.HELD)


def _changes(api: Api, task_id: str, project_id: str) -> Iterator[JsonObject]:
    """The task as it is, and again after each change that a person can see."""
    shown = None
    for message in follow(api, project_id, is_told_of_starts=True):
        if message["event"] == "subscribed" or message.get("data", {}).get("taskId") == task_id:
            task = api.get_patiently(f"/tasks/{task_id}")["task"]
            if (task["state"], task["phase"], task["round"]) != shown:
                shown = task["state"], task["phase"], task["round"]
                yield task


def _tell(terminal: Terminal, task: JsonObject) -> None:
    if terminal.is_json:
        click.echo(as_json({"task": task}))
    else:
        phase = f" ({task['phase']})" if task["phase"] else ""
        terminal.print_line(
            f"{short_id(task['id'])}  {terminal.coloured_state(task['state'])}{phase}  {cell(task['title'])}"
        )
    sys.stdout.flush()


@click.command("diff")
@click.argument("named", metavar="TASK")
@click.option("--stat", is_flag=True, help="Only the names of the files, with the number of changed lines.")
@pass_terminal
def diff_task(terminal: Terminal, named: str, stat: bool) -> None:
    """Print a task's changes as a patch, which `git apply` takes."""
    with api_of(terminal) as api:
        diff = api.call("GET", f"/tasks/{whole_id(api, TASKS, named)}/diff")
    if terminal.is_json:
        terminal.print_json(diff)
    elif stat:
        for line in stat_lines(terminal, diff):
            terminal.print_line(line)
    elif terminal.is_screen:
        click.echo_via_pager(shown_patch(terminal, diff["patch"]), color=has_colour())
    else:
        # As it is: click would take control sequences out of the files' lines.
        click.echo(diff["patch"], nl=False, color=True)
    if diff["truncated"]:
        click.echo("The diff is too large: the rest is missing. Fetch the branch to see all of it.", err=True)


def stat_lines(terminal: Terminal, diff: JsonObject) -> Iterator[str]:
    """A line for each file of a diff, and one for all."""
    for file in diff["files"]:
        counts = "binary"
        if file["additions"] is not None:
            added, deleted = f"+{file['additions']}", f"-{file['deletions']}"
            counts = f"{terminal.styled(added, fg='green')} {terminal.styled(deleted, fg='red')}"
        yield f"{file['status']:<8}  {cell(file['path'])}  {counts}"
    yield f"{counted(len(diff['files']), 'file')} changed"


def shown_patch(terminal: Terminal, patch: str) -> str:
    """A patch for the screen: coloured, and without the control sequences that a file may hold."""
    colours = {"+": "green", "-": "red", "@": "cyan"}
    shown = []
    for line in patch.split("\n"):
        is_heading = line.startswith(("diff --git ", "+++ ", "--- ", "index "))
        shown.append(terminal.styled(cell(line), fg=None if is_heading else colours.get(line[:1]), bold=is_heading))
    return "\n".join(shown)


@click.command("logs")
@click.argument("named", metavar="TASK")
@click.option("--run", "run_id", help="Id of a run. Default: the newest.")
@click.option("-f", "--follow", "is_followed", is_flag=True, help="Go on while the run is live.")
@click.option("--kind", help="Only entries of these kinds, joined by commas.")
@click.option("--search", metavar="WORDS", help="Only entries with these words.")
@pass_terminal
def show_logs(
    terminal: Terminal, named: str, run_id: str | None, is_followed: bool, kind: str | None, search: str | None
) -> None:
    """Print what the agent did in the newest run, or in another."""
    with api_of(terminal) as api:
        runs = api.call("GET", f"/tasks/{whole_id(api, TASKS, named)}")["task"]["runs"]
        run = _run(runs, run_id)
        kept: list[JsonObject] = []
        for entry in _entries(api, run["id"], is_followed=is_followed, kind=kind, q=search):
            if terminal.is_json and not is_followed:
                kept.append(entry)
            elif terminal.is_json:
                click.echo(as_json(entry))
            else:
                terminal.print_line(_entry(terminal, entry))
            sys.stdout.flush()
        if terminal.is_json and not is_followed:
            terminal.print_json({"run": run, "entries": kept})


def _run(runs: list[JsonObject], named: str | None) -> JsonObject:
    if not runs:
        raise ApiError("no agent has begun this task yet")
    if named is None:
        work = [run for run in runs if run.get("purpose") != "review"]
        return max(work or runs, key=lambda run: str(run["id"]))
    found = [run for run in runs if run["id"].endswith(named.lower())]
    if len(found) != 1:
        known = ", ".join(short_id(run["id"]) for run in runs)
        raise ApiError(f"{named} names {len(found) or 'no'} runs of the task; its runs: {known}")
    return found[0]


def _entries(api: Api, run_id: str, *, is_followed: bool, kind: str | None, q: str | None) -> Iterator[JsonObject]:
    after = 0
    while True:
        query = {"after": after, "limit": PAGE, "kind": kind, "q": q}
        path = f"/runs/{run_id}/transcript"
        page = api.get_patiently(path, **query) if is_followed else api.call("GET", path, None, **query)
        yield from page["entries"]
        is_at_end, after = page["next"] == after or not page["entries"], page["next"]
        if is_at_end and not (is_followed and page["live"]):
            return
        if is_at_end:
            require_reader()
            time.sleep(POLL_SECONDS)


def _entry(terminal: Terminal, entry: JsonObject) -> str:
    colour = "red" if entry["level"] == "error" else "yellow" if entry["level"] == "warning" else None
    kind = entry.get("kind", "")
    at = time_of(entry["at"], has_seconds=True)
    return f"{at}  {terminal.styled(f'{kind:<8}', fg=colour)}  {cell(entry['message'])}"
