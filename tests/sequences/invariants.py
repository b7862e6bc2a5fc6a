"""What holds after every act, whatever it was. Each function says what it found wrong; nothing: all is well."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select

from common.models import Agent, Deployment, EventRow, GroupMember, Job, Project, Question, Run, Task, TaskGroup
from common.models.journal import Feed
from common.models.task import TaskDependency
from common.transaction import snapshot
from common.values.states import GROUP_LIVE, RunState, TaskState
from tests.providers.git_work_tree import git
from tests.sequences.stage import Stage

Wrong = Iterator[str]


class Rows:
    """All that is stored, read at one moment between two acts."""

    def __init__(self) -> None:
        with snapshot() as read:
            for name, model in (
                ("projects", Project), ("tasks", Task), ("runs", Run), ("agents", Agent), ("groups", TaskGroup),
                ("deployments", Deployment), ("questions", Question), ("jobs", Job), ("members", GroupMember),
            ):  # fmt: skip
                setattr(self, name, list(read.all(select(model))))
            self.dependencies = [(row.task_id, row.depends_on_id) for row in read.all(select(TaskDependency))]
            self.feeds = {row.id: row.seq for row in read.all(select(Feed))}
            self.events = sorted(read.all(select(EventRow)), key=lambda row: (row.feed_id, row.seq))

    projects: list[Project]
    tasks: list[Task]
    runs: list[Run]
    agents: list[Agent]
    groups: list[TaskGroup]
    deployments: list[Deployment]
    questions: list[Question]
    jobs: list[Job]
    members: list[GroupMember]

    def live_run(self, task: Task) -> Run | None:
        return next((run for run in self.runs if run.live_task_id == task.id), None)


def tasks_and_their_runs(rows: Rows) -> Wrong:
    for task in rows.tasks:
        run, name = rows.live_run(task), f"task {task.id} ({task.state_}, {task.phase_})"
        if (task.phase_ is not None) != (task.state_ == TaskState.IN_PROGRESS):
            yield f"{name} has the wrong phase"
        is_at_work = task.phase_ == "working"
        if run is not None and run.is_review and task.phase_ != "verifying":
            yield f"{name} is reviewed by the run {run.id}"
        may_have_run = is_at_work or task.state_ == TaskState.NEEDS_INPUT or task.phase_ == "held"
        if is_at_work and run is None:
            yield f"{name} has no run"
        if run is not None and not run.is_review and not may_have_run:
            yield f"{name} has the live run {run.id} ({run.state_})"
        if is_at_work and run is not None and task.assigned_agent_id != run.agent_id:
            yield f"{name} is assigned to {task.assigned_agent_id}, its run to {run.agent_id}"
        if run is None and task.assigned_agent_id is not None:
            yield f"{name} has no run and is assigned to {task.assigned_agent_id}"
        if (task.phase_ == "held") != (task.held_by_id is not None):
            yield f"{name} is held by {task.held_by}"
        if (task.phase_ == "parked") and task.parked_code is None:
            yield f"{name} is parked for no reason"
        if task.parked_code is not None and task.phase_ != "parked" and task.parked_code != "files":
            yield f"{name} still says why it was parked: {task.parked_code}"
        if min(task.attempts, task.losses, task.refusals) < 0 or task.round < 1:
            yield f"{name} has wrong counts"


def questions_and_their_tasks(rows: Rows) -> Wrong:
    pending: dict[str, list[Question]] = defaultdict(list)
    for question in rows.questions:
        if question.state == "pending":
            pending[question.task_id].append(question)
    for task in rows.tasks:
        asked = pending[task.id]
        if asked and task.state_ not in {"in_progress", "needs_input"}:
            yield f"task {task.id} is {task.state_} and has an open question"
        if task.state_ == "needs_input" and not any(one.is_blocking for one in asked):
            yield f"task {task.id} waits for an answer that nobody was asked for"
        if task.state_ == "in_progress" and task.phase_ != "held" and any(one.is_blocking for one in asked):
            yield f"task {task.id} ({task.phase_}) does not wait for its open question"


def approvals(rows: Rows) -> Wrong:
    for task in rows.tasks:
        is_approved = task.state_ in {"approved", "staging", "production"}
        if is_approved != (task.approved_sha is not None) or is_approved != (task.approved_by is not None):
            yield f"task {task.id} is {task.state_} with the approval {task.approved_sha} by {task.approved_by}"
        if is_approved and task.approved_sha != task.head_sha:
            yield f"task {task.id}: {task.approved_sha} was approved and {task.head_sha} is proven"
        if task.state_ == "ready_to_test" and task.head_sha is None:
            yield f"task {task.id} is ready without a commit"


def runs_and_their_agents(rows: Rows) -> Wrong:
    live = Counter(run.agent_id for run in rows.runs if run.live_task_id is not None)
    agents = {agent.id: agent for agent in rows.agents}
    for run in rows.runs:
        if (run.state_ == RunState.ENDED) != (run.live_task_id is None):
            yield f"run {run.id} is {run.state_} and live for {run.live_task_id}"
        if (run.state_ == RunState.ENDED) != (run.outcome is not None):
            yield f"run {run.id} is {run.state_} with the outcome {run.outcome}"
        if run.live_task_id is not None and run.agent_id not in agents:
            yield f"run {run.id} is live and its agent is gone"
    for agent in rows.agents:
        if live[agent.id] > agent.slots:
            yield f"agent {agent.id} has {live[agent.id]} runs and {agent.slots} slots"
        if agent.state_ == "busy" and not live[agent.id]:
            yield f"agent {agent.id} is busy without a run"
        if agent.state_ == "idle" and live[agent.id]:
            yield f"agent {agent.id} is idle with {live[agent.id]} runs"
        if agent.current_task_id is not None and not live[agent.id]:
            yield f"agent {agent.id} has no run and shows the task {agent.current_task_id}"
        if agent.current_task_id is None and live[agent.id]:
            yield f"agent {agent.id} has a run and shows no task"


def groups_and_their_tasks(rows: Rows) -> Wrong:
    groups, tasks = {group.id: group for group in rows.groups}, {task.id: task for task in rows.tasks}
    for member in rows.members:
        group, task = groups[member.group_id], tasks[member.task_id]
        name = f"task {task.id} ({task.state_}) in group {group.id} ({group.state_})"
        is_in = group.state_ in GROUP_LIVE and member.removed_reason is None
        if is_in != (member.live_task_id is not None):
            yield f"{name}, removed: {member.removed_reason}, is held: {member.live_task_id}"
        if is_in and task.state_ not in {"approved", "staging"}:
            yield f"{name} is not approved"
        if is_in and (task.state_ == "staging") != (group.state_ in {"staging", "deploying_production"}):
            yield f"{name}: they disagree"
        if is_in and task.approved_sha != member.approved_sha:
            yield f"{name}: {member.approved_sha} is built, {task.approved_sha} approved"
    held = {member.task_id for member in rows.members if member.live_task_id is not None}
    for task in rows.tasks:
        if task.state_ == "staging" and task.id not in held:
            yield f"task {task.id} is on staging and in no group"
    delivered = {
        member.task_id for member in rows.members
        if groups[member.group_id].state_ == "production" and member.removed_reason is None
    }  # fmt: skip
    for task in rows.tasks:
        if (task.state_ == "production") != (task.id in delivered):
            yield f"task {task.id} is {task.state_}, delivered: {task.id in delivered}"
    for group in rows.groups:
        inside = [one for one in rows.members if one.group_id == group.id and one.live_task_id is not None]
        if group.state_ in GROUP_LIVE and not inside:
            yield f"group {group.id} is {group.state_} without tasks"


def versions(rows: Rows) -> Wrong:
    groups = {group.id: group for group in rows.groups}
    active = Counter(
        (one.project_id, one.app_name) for one in rows.deployments if one.state_ in {"pending", "in_progress"}
    )
    live = Counter((one.project_id, one.app_name) for one in rows.deployments if one.state_ == "completed")
    for place, number in (active + live).items():
        if active[place] > 1 or live[place] > 1:
            yield f"{place} has {active[place]} deployments under way and {live[place]} live ones ({number})"
    staged = {
        (one.task_group_id, one.commit_sha)
        for one in rows.deployments
        if one.environment_ == "staging" and one.was_healthy
    }
    for one in rows.deployments:
        if one.environment_ == "production" and one.rollback_of is None:
            if (one.task_group_id, one.commit_sha) not in staged:
                yield f"{one.commit_sha} is brought to production and was not healthy on staging"
            if one.state_ == "completed" and groups[str(one.task_group_id)].tested_sha != one.commit_sha:
                yield f"{one.commit_sha} is in production and was not tested"
    under_way = {
        one.task_group_id for one in rows.deployments if one.active_key is not None and one.rollback_of is None
    }
    for group in rows.groups:
        is_going = group.state_ in {"deploying_staging", "deploying_production"}
        if is_going != (group.id in under_way):
            yield f"group {group.id} is {group.state_}, a deployment is under way: {group.id in under_way}"


def events_tell_all(rows: Rows) -> Wrong:
    seqs: dict[str, list[int]] = defaultdict(list)
    states: dict[str, str | None] = {}
    # The removal of a project begins with its events.
    going = {project.id for project in rows.projects if project.state_ == "deleting"}
    for row in rows.events:
        if row.feed_id in going:
            continue
        seqs[row.feed_id].append(row.seq)
        data = json.loads(row.data)["data"]
        if row.name == "task:created":
            states[data["taskId"]] = "backlog"
        for name, key, old, new in (
            ("task:status_changed", "taskId", "oldState", "newState"),
            ("task-group:status_changed", "taskGroupId", "oldStatus", "newStatus"),
        ):
            if row.name == name:
                before = states.get(data[key])
                if before != data.get(old):
                    yield f"{row.name} {row.seq}: {data} after {before}"
                states[data[key]] = data[new]
    for feed, found in seqs.items():
        if found != list(range(1, len(found) + 1)) or rows.feeds[feed] != len(found):
            yield f"feed {feed} has the numbers {found}, and counts {rows.feeds[feed]}"
    for one in [*rows.tasks, *rows.groups]:
        if one.project_id not in going and states.get(one.id) != one.state_:
            yield f"{one.id} is {one.state_}, and by the events {states.get(one.id)}"


def jobs_are_alive(rows: Rows) -> Wrong:
    live = Counter((job.kind, job.subject_id) for job in rows.jobs if job.state_ in {"queued", "running"})
    for what, number in live.items():
        if number > 1:
            yield f"{number} jobs {what} are live"
    for job in rows.jobs:
        if job.state_ == "running" and job.lease_until is None:
            yield f"job {job.kind} of {job.subject_id} runs without a lease"


def no_job_fails(rows: Rows) -> Wrong:
    for job in rows.jobs:
        if job.error is not None and "killed" not in job.error and (job.state_ == "failed" or job.attempts):
            yield f"job {job.kind} of {job.subject_id} is {job.state_}: {job.error}"


def nothing_hangs(rows: Rows) -> Wrong:
    """When no job is left: whatever jobs do has come to its end."""
    for task in rows.tasks:
        if task.phase_ == "verifying":
            yield f"task {task.id} is being verified by nobody"
        if task.state_ in {"production", "cancelled"}:
            left = [one.id for one in rows.deployments if one.task_id == task.id and (one.live_key or one.active_key)]
            if left or task.preview_url:
                yield f"task {task.id} is {task.state_} and has the preview {left} {task.preview_url}"
    for run in rows.runs:
        if run.state_ == RunState.PREPARING:
            yield f"run {run.id} is prepared by nobody"
        if run.state_ == RunState.ENDED and run.secrets_sealed is not None:
            yield f"run {run.id} is over and keeps its credential"
    for group in rows.groups:
        if group.state_ in {"pending", "merging", "deploying_staging", "deploying_production"}:
            yield f"group {group.id} is {group.state_}, and no job goes on with it"
        if group.state_ == "merged" and group.wants_staging:
            yield f"group {group.id} is merged, is to go to staging, and no job goes on with it"
    for one in rows.deployments:
        if one.active_key is not None:
            yield f"deployment {one.id} is {one.state_}, and no job goes on with it"
    for project in rows.projects:
        if project.state_ in {"provisioning", "deleting"}:
            yield f"project {project.id} is {project.state_}, and no job goes on with it"


def order_of_delivery(rows: Rows) -> Wrong:
    """Nothing is delivered before what it depends on."""
    tasks = {task.id: task for task in rows.tasks}
    group_of = {one.task_id: one.group_id for one in rows.members if one.live_task_id is not None}
    for task_id, needed_id in rows.dependencies:
        task, needed = tasks[task_id], tasks[needed_id]
        is_beside = task_id in group_of and group_of[task_id] == group_of.get(needed_id)
        is_first = needed.state_ == "production" or (task.state_ == "staging" and is_beside)
        if task.state_ in {"staging", "production"} and not is_first:
            yield f"task {task_id} is {task.state_}, and {needed_id}, on which it depends, is {needed.state_}"


OF_ROWS = (
    tasks_and_their_runs, questions_and_their_tasks, approvals, runs_and_their_agents, groups_and_their_tasks, versions,
    events_tell_all, order_of_delivery, jobs_are_alive, no_job_fails,
)  # fmt: skip


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


def check(stage: Stage) -> None:
    """AssertionError with all that is wrong."""
    rows = Rows()
    is_quiet = not any(job.state_ in {"queued", "running"} for job in rows.jobs)
    checks = [*OF_ROWS, *([nothing_hangs] if is_quiet else [])]
    wrong = [f"{each.__name__}: {one}" for each in checks for one in each(rows)]
    if is_quiet and stage.perhaps(0.3):
        wrong += delivered_is_there(stage, rows)
    assert not wrong, "\n".join(wrong)
