"""How a story ends: with willing people and an agent that works, every task comes to its end, and nothing is left."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from common.models import Deployment, Job, Project, Run, Task, TaskGroup
from common.models.base import Base
from common.models.delivery import Receipt
from common.models.task import TaskDependency
from common.providers.forge import local_forge
from common.providers.runtime import runtime
from common.services.agent_api.agent_api import has_claimable_run
from common.transaction import snapshot
from common.values.delivery.pull_request import PullState
from common.values.states import GROUP_LIVE
from tests.sequences import agents, machinery
from tests.sequences.invariants import check
from tests.sequences.stage import ActingAgent, Stage
from workers import sweeps

MOST_ROUNDS = 25
OVER = {"production", "cancelled"}


def end_well(stage: Stage) -> None:
    """AssertionError if a task is stuck, or if something of a finished one still runs."""
    stage.tell("-- the end")
    _make_room(stage)
    agent = stage.new_agent(slots=20)
    for _ in range(MOST_ROUNDS):
        _round(stage, agent)
        check(stage)
        if not _open(stage):
            break
    else:
        raise AssertionError(f"these come to no end: {[_words(task) for task in _open(stage)]}")
    _sweep(stage, agent)
    if wrong := list(_left_over(stage)):
        raise AssertionError("\n".join(wrong))


def _words(task: Task) -> str:
    return f"{task.id} {task.state_} {task.phase_} {task.parked_code} {task.error} agent {task.assigned_agent_id}"


def _open(stage: Stage) -> list[Task]:
    """Tasks that are not over, but for those that nothing can begin any more."""
    hopeless = _hopeless(stage)
    return [task for task in stage.tasks() if task.state_ not in OVER and task.id not in hopeless]


def _hopeless(stage: Stage) -> set[str]:
    """Tasks that depend on a cancelled one, or on one of these: people have to write them anew."""
    found = {task.id for task in stage.tasks("cancelled")}
    with snapshot() as read:
        waits_for = [(row.task_id, row.depends_on_id) for row in read.all(select(TaskDependency))]
    for _ in waits_for:
        found |= {task_id for task_id, needed in waits_for if needed in found}
    return found


def _make_room(stage: Stage) -> None:
    """Nothing that people have said keeps work from going on."""
    for project in stage.projects():
        body = {"maxParallelTasks": None, "separateApprover": False}
        if project.state_ == "active":
            assert stage.ask("ada", "PATCH", f"/api/projects/{project.id}", body) is not None
    for agent in stage.agents:
        agent.is_there = False


def _sweep(stage: Stage, agent: ActingAgent) -> None:
    machinery.shift(70, {"marks"})
    agents.beat(stage, agent)
    for each in (sweeps.sweep, sweeps.sweep_agents, sweeps.sweep_slowly):
        each()
    machinery.settle(stage)


def _round(stage: Stage, agent: ActingAgent) -> None:
    for job in stage.all(Job, Job.state_ == "failed"):
        stage.ask("ada", "POST", f"/api/jobs/{job.id}/retry", {})
    _sweep(stage, agent)
    for item in stage.show("ada", "/api/inbox")["items"]:
        _decide(stage, item)
    for task in stage.all(Task, Task.phase_ == "held"):
        stage.ask("ada", "POST", f"/api/tasks/{task.id}/hand-back", {"note": ""})
    _group_what_is_free(stage)
    for group in stage.groups("merged"):
        stage.ask("ada", "POST", f"/api/task-groups/{group.id}/deploy-staging", {"acceptRolledBack": True})
    for group in stage.groups("staging"):
        path = f"/api/task-groups/{group.id}"
        if stage.ask("ada", "POST", f"{path}/deploy-production", {"acceptRolledBack": True}) is None:
            stage.ask("ada", "POST", f"{path}/retry", {})
    while has_claimable_run(agent.agent_id):
        agents.claim(stage, agent)
        agents.beat(stage, agent)
    agents.beat(stage, agent)
    for run_id, run in list(agent.runs.items()):
        project = stage.platform.get(Project, run.project_id)
        sha = stage.push(project, run.branch, {f"end-{stage.number()}.txt": "1\n"}, onto=project.default_branch)
        path = f"/api/runner/runs/{run_id}/finish"
        body = {"outcome": "completed", "commitSha": sha, "summary": "done"}
        stage.ask_as(run.client, f"agent {agent.agent_id}", "POST", path, body)
        del agent.runs[run_id]


def _group_what_is_free(stage: Stage) -> None:
    held = {task_id for group in stage.groups(*GROUP_LIVE) for task_id in _members(stage, group)} | _hopeless(stage)
    for project in stage.projects():
        free = [task.id for task in stage.tasks("approved") if task.project_id == project.id and task.id not in held]
        if free and project.state_ == "active":
            body = {"projectId": project.id, "taskIds": free, "targetBranch": "production", "acceptRolledBack": True}
            stage.ask("ada", "POST", "/api/task-groups", body)


def _members(stage: Stage, group: TaskGroup) -> list[str]:
    ids: list[str] = stage.show("ada", f"/api/task-groups/{group.id}")["taskGroup"]["taskIds"]
    return ids


def _decide(stage: Stage, item: dict[str, Any]) -> None:
    task = f"/api/tasks/{item['taskId']}"
    if item["kind"] == "question":
        question = next(one for one in stage.open_questions() if one.id == item["questionId"])
        answer = (question.options or ["Go on"])[0]
        stage.ask("ada", "POST", f"{task}/respond", {"questionId": question.id, "response": answer})
    elif item["kind"] == "review":
        stage.ask("ada", "POST", f"{task}/approve", {})
    elif item["kind"] == "failed":
        stage.ask("ada", "POST", f"{task}/retry", {})
    elif item["kind"] in {"parked", "files"}:
        stage.ask("ada", "POST", f"{task}/resume", {})
    elif item["kind"] == "release" and item["state"] == "failed":
        stage.ask("ada", "POST", f"/api/task-groups/{item['taskGroupId']}/retry", {})


def _left_over(stage: Stage) -> Any:
    delivered = stage.deployments(Deployment.environment_ == "production", Deployment.was_healthy.is_(True))
    with snapshot() as read:
        receipts = {row.deployment_id for row in read.all(select(Receipt))}
    for one in delivered:
        if one.id not in receipts:
            yield f"there is no receipt of {one.id} ({one.state_})"
    for run in stage.live_runs():
        yield f"run {run.id} of {run.task_id} is still {run.state_}"
    over = {task.id: task for task in stage.tasks(*OVER)}
    projects = {project.id: project for project in stage.projects()}
    for one in stage.deployments(Deployment.environment_ == "preview"):
        if one.task_id in over and (one.live_key or one.active_key):
            yield f"the preview {one.id} of the task {one.task_id} is {one.state_}"
    live = {(one.project_id, one.app_name) for one in stage.deployments(Deployment.live_key.is_not(None))}
    running = list(runtime().list_apps())
    if len(running) != len(live):
        yield f"these apps run: {running}; live are {live}"
    for task in over.values():
        project = projects[task.project_id]
        repository = stage.platform.repository(project.id)
        if task.preview_url is not None:
            yield f"task {task.id} is {task.state_} and shows {task.preview_url}"
        pull = local_forge().read_pull_request(repository, task.pr_number) if task.pr_number else None
        if pull is not None and pull.state is PullState.OPEN:
            yield f"the pull request {task.pr_number} of the task {task.id} ({task.state_}) is open"
        if pull is not None and (pull.state is PullState.MERGED) != (task.state_ == "production"):
            yield f"the pull request {task.pr_number} of the task {task.id} ({task.state_}) is {pull.state}"


def delete_all(stage: Stage) -> None:
    """Nothing is left of a deleted project but what its runs have cost."""
    for project in stage.projects():
        stage.ask("ada", "DELETE", f"/api/projects/{project.id}")
    machinery.settle(stage)
    assert list(runtime().list_apps()) == []
    with snapshot() as read:
        for table in Base.metadata.sorted_tables:
            if "project_id" in table.columns and table.name not in {"model_calls"}:
                rows = read.session.execute(select(table).where(table.c.project_id.is_not(None))).all()
                assert not rows, (table.name, rows[:3])
    assert not stage.all(Run)
