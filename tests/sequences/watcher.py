"""Somebody who reads everything after the acts: it is shown as it is stored, the same everywhere, and events tell."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from tests.providers.git_tree import git
from tests.sequences.invariants import OF_ROWS, Rows, Wrong, no_job_fails, nothing_hangs
from tests.sequences.stage import Stage

SHOWN = (
    "id", "title", "state", "phase", "parked", "round", "priority", "assignedAgentId", "headSha", "prNumber", "prUrl",
    "previewUrl", "error", "labels", "rolledBackAt",
)  # fmt: skip


def _without_times(task: dict[str, Any]) -> dict[str, Any]:
    """What is shown of a task, but for times: those that are stored may be set back."""
    parked = task["parked"] and task["parked"]["code"]
    return {name: task[name] for name in SHOWN} | {"parked": parked, "rolledBackAt": task["rolledBackAt"] is not None}


def delivered_is_there(stage: Stage, rows: Rows) -> Wrong:
    """By git: what is delivered is in the default branch, and what no rollback took back is in production."""
    for project in rows.projects:
        live = [one for one in rows.deployments if one.live_key == f"{project.id}:production"]
        path = stage.repository_path(project)
        for task in rows.tasks:
            if task.project_id != project.id or task.state_ != "production":
                continue
            if not _holds(path, f"refs/heads/{project.default_branch}", task.approved_sha):
                yield f"task {task.id} is delivered, and {task.approved_sha} is not in the default branch"
            is_live = bool(live) and _holds(path, live[0].commit_sha, task.approved_sha)
            if is_live != (task.rolled_back_at is None):
                yield f"task {task.id} is live: {is_live}, rolled back: {task.rolled_back_at}"


def _holds(path: Path, ref: str, commit: str | None) -> bool:
    """Whether the history of `ref` holds the commit."""
    return commit is not None and git("rev-list", "-1", f"{ref}..{commit}", at=path) == ""


class Watcher:
    """An administrator who reads what there is after each act, and remembers what it showed before.

    The details of what has not changed since are read now and then.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._shown: dict[str, object] = {}
        self._seqs: dict[str, int] = {}
        self._told_by: dict[str, set[str]] = {}
        self._listed: dict[str, object] = {}

    def check(self) -> None:
        """AssertionError with all that is wrong."""
        if wrong := self._look():
            raise AssertionError("\n".join(wrong))

    def _look(self) -> list[str]:
        rows = Rows()
        is_quiet = not any(job.state_ in {"queued", "running"} for job in rows.jobs)
        checks = [*OF_ROWS, *([nothing_hangs] if is_quiet else []), *([] if self.stage.had_outage else [no_job_fails])]
        wrong = [f"{check.__name__}: {one}" for check in checks for one in check(rows)]
        if is_quiet and self.stage.perhaps(0.3):
            wrong += delivered_is_there(self.stage, rows)
        if not wrong and not self.stage.perhaps(0.35):
            return []
        return wrong + [f"what is shown: {one}" for one in self._read(rows)]

    def _read(self, rows: Rows) -> Wrong:
        shown: dict[str, object] = {}
        for project in self.stage.show("ada", "/api/projects")["projects"]:
            path = f"?projectId={project['id']}&limit=200"
            yield from self._read_tasks(rows, project["id"], path, shown)
            yield from self._read_groups(path, shown)
            self._read_versions(path, shown)
            if self.stage.perhaps(0.2):
                self.stage.show("ada", f"/api/projects/{project['id']}/environments")
                yield from self._read_inbox(rows, project["id"])
                yield from self._read_events(rows, project["id"])
        for agent in self.stage.show("ada", "/api/agents")["agents"]:
            shown[agent["id"]] = agent["status"]
        yield from self._compare_with_events(rows, shown)

    def _compare_with_events(self, rows: Rows, shown: dict[str, object]) -> Wrong:
        new = [row for row in rows.events if row.seq > self._seqs.get(row.feed_id, 0)]
        told = "\n".join(f"{row.name} {row.data} {row.task_id}" for row in new)
        # The events of a project go when it is being deleted.
        is_any_going = any(project.state_ == "deleting" for project in rows.projects)
        is_all_told = not is_any_going and self._seqs.keys() <= rows.feeds.keys()
        for name, content in shown.items():
            before = self._shown.get(name, content)
            is_told = any(one in told for one in {name, *self._told_by.get(name, set())})
            if is_all_told and before != content and not is_told:
                yield f"{name} was {before} and is {content}, and no event says so"
        self._shown, self._seqs = shown, rows.feeds

    def _is_looked_at(self, thing: dict[str, Any]) -> bool:
        has_changed = self._listed.get(thing["id"]) != thing
        self._listed[thing["id"]] = thing
        return has_changed or self.stage.perhaps(0.1)

    def _read_tasks(self, rows: Rows, project_id: str, path: str, shown: dict[str, object]) -> Wrong:
        board = self.stage.show("ada", f"/api/board{path}")
        listed = self.stage.show("ada", f"/api/tasks{path}")
        tasks = {task.id: task for task in rows.tasks if task.project_id == project_id}
        by_state = Counter(task.state_ for task in tasks.values())
        on_board = {task["id"]: task for column in board["columns"] for task in column["tasks"]}
        for column in board["columns"]:
            if column["total"] != by_state[column["state"]]:
                yield f"the board counts {column['total']} {column['state']}, there are {by_state[column['state']]}"
        if listed["total"] != len(tasks):
            yield f"the list counts {listed['total']} tasks, there are {len(tasks)}"
        for task in listed["tasks"]:
            is_looked_at, row = self._is_looked_at(task), tasks[task["id"]]
            details = self.stage.show("ada", f"/api/tasks/{task['id']}")["task"] if is_looked_at else task
            seen = [_without_times(one) for one in (task, details, on_board[task["id"]])]
            if seen[0] != seen[1] or seen[0] != seen[2]:
                yield f"listed is {seen[0]}, in detail {seen[1]}, on the board {seen[2]}"
            if (task["state"], task["phase"]) != (row.state_, row.phase_):
                yield f"{task['id']} is {row.state_} ({row.phase_}), and is shown as {task['state']} ({task['phase']})"
            shown[task["id"]] = seen[0]

    def _read_groups(self, path: str, shown: dict[str, object]) -> Wrong:
        for group in self.stage.show("ada", f"/api/task-groups{path}")["taskGroups"]:
            if self._is_looked_at(group):
                details = self.stage.show("ada", f"/api/task-groups/{group['id']}")["taskGroup"]
                if (group["status"], group["taskIds"]) != (details["status"], details["taskIds"]):
                    yield f"group {group['id']} is {group['status']} in the list, and {details['status']}"
                for part in ("release", "plan", "train"):
                    self.stage.show("ada", f"/api/task-groups/{group['id']}/{part}")
            # A push that is left out is told by its task.
            problems = [one for one in group["problems"] if one["kind"] != "later_push"]
            shown[group["id"]] = [problems, *(group.get(name) for name in ("status", "taskIds", "error"))]

    def _read_events(self, rows: Rows, project_id: str) -> Wrong:
        """They are replayed as they were sent."""
        stored = [row for row in rows.events if row.feed_id == project_id]
        after = self.stage.random.randint(0, len(stored))
        shown = self.stage.show("ada", f"/api/events?projectId={project_id}&afterSeq={after}&limit=500")["events"]
        if [(one["event"], one["seq"]) for one in shown] != [(row.name, row.seq) for row in stored[after:]]:
            yield f"events after {after} are {len(shown)}, stored are {len(stored)}"

    def _read_inbox(self, rows: Rows, project_id: str) -> Wrong:
        """Whatever waits for a person is there."""
        items = self.stage.show("ada", f"/api/inbox?projectId={project_id}")["items"]
        found = {(item["kind"], item["questionId"] or item["taskId"] or item["taskGroupId"]) for item in items}
        tasks = {task.id: task for task in rows.tasks if task.project_id == project_id}
        kinds = {"ready_to_test": "review", "failed": "failed"}
        wanted = {(kinds[task.state_], task.id) for task in tasks.values() if task.state_ in kinds}
        wanted |= {("question", one.id) for one in rows.questions if one.task_id in tasks and one.state == "pending"}
        wanted |= {
            ("release", one.id) for one in rows.groups if one.project_id == project_id and one.state_ == "failed"
        }
        wanted |= {
            ("parked", task.id) for task in tasks.values() if task.phase_ == "parked" and task.parked_code == "cap"
        }
        found = {one for one in found if one[0] in {kind for kind, _id in wanted}}
        is_away = any(project.id == project_id and project.state_ == "deleting" for project in rows.projects)
        if not is_away and (wanted - found or {one for one in found if one[0] != "release"} - wanted):
            yield f"the inbox shows {found - wanted}, and not {wanted - found}"

    def _read_versions(self, path: str, shown: dict[str, object]) -> None:
        for one in self.stage.show("ada", f"/api/deployments{path}")["deployments"]:
            # What replaces it, or gives it up, tells that it serves no more.
            place = {f'"environment":"{one["environment"]}"'} if one["environment"] != "preview" else set()
            self._told_by[one["id"]] = place | {one[key] for key in ("taskId", "taskGroupId") if one.get(key)}
            shown[one["id"]] = [one.get(name) for name in ("status", "url", "error")]
