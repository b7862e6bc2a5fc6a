"""What people may do, at random: to tasks, questions, groups, versions and projects."""

from __future__ import annotations

from common.models import Deployment, Task
from common.values.states import Role
from tests.sequences.stage import Act, NothingToDo, Stage

MOST_TASKS = 6
"""At a time: few are enough for them to meet, and their ends are soon seen."""


def create_task(stage: Stage) -> None:
    if len(stage.tasks()) >= MOST_TASKS:
        raise NothingToDo
    project = stage.one(stage.projects())
    others = [task.id for task in stage.all(Task, Task.project_id == project.id)]
    body = {
        "projectId": project.id, "title": f"Task {stage.number()}", "description": "```steps\n- say: Hello\n```\n",
        "priority": stage.one(["low", "medium", "high", "urgent"]),
        "dependsOn": stage.some(others, 2) if stage.perhaps(0.4) else [],
    }  # fmt: skip
    stage.ask(stage.somebody("mia", "maud", "moe", "ada"), "POST", "/api/tasks", body)


def _on_task(
    verb: str, *states: str, who: tuple[str, ...], needs: Role = Role.MEMBER, body: dict[str, object] | None = None
) -> Act:
    def act(stage: Stage) -> None:
        task = stage.one(stage.tasks(*([] if stage.perhaps(0.1) else states)))
        name = stage.somebody(*who)
        role = stage.users[name].role
        is_done = stage.ask(name, "POST", f"/api/tasks/{task.id}/{verb}", body or {}) is not None
        assert not is_done or role >= needs, f"{name} may not {verb} as {role}"
        if is_done and verb == "approve":
            project = next(one for one in stage.projects() if one.id == task.project_id)
            wrote = {task.created_by_id, *task.edited_by_ids}
            assert not (project.separate_approver and stage.users[name].id in wrote), f"{name} approves their own work"

    return act


approve = _on_task("approve", "ready_to_test", who=("maud", "moe", "ada"), needs=Role.MAINTAINER)
reject = _on_task("reject", "ready_to_test", who=("maud", "moe"), needs=Role.MAINTAINER, body={"reason": "Not yet"})
cancel = _on_task(
    "cancel", "backlog", "in_progress", "needs_input", "ready_to_test", "approved", "failed", who=("maud", "mia")
)
retry = _on_task("retry", "failed", who=("mia", "maud"))
take_over = _on_task("take-over", "in_progress", "needs_input", "ready_to_test", "failed", who=("mia", "maud", "moe"))


def hand_back(stage: Stage) -> None:
    task = stage.one(stage.all(Task, Task.phase_ == "held"))
    stage.ask(stage.somebody("mia", "maud", "moe"), "POST", f"/api/tasks/{task.id}/hand-back", {"note": "Go on"})


def answer(stage: Stage) -> None:
    question = stage.one(stage.open_questions())
    body = {"questionId": question.id, "response": stage.one(question.options or ["blue"])}
    stage.ask(stage.somebody("mia", "maud"), "POST", f"/api/tasks/{question.task_id}/respond", body)


def group_tasks(stage: Stage) -> None:
    task = stage.one(stage.tasks("approved"))
    approved = stage.all(Task, Task.state_ == "approved", Task.project_id == task.project_id)
    ids = [task.id, *(one.id for one in stage.some(approved, 3) if one.id != task.id)]
    body = {
        "projectId": task.project_id, "taskIds": ids, "targetBranch": stage.one(["staging", "production"]),
        "acceptRolledBack": stage.perhaps(0.3),
    }  # fmt: skip
    stage.ask(stage.somebody("maud", "moe"), "POST", "/api/task-groups", body)


def _on_group(verb: str, *states: str) -> Act:
    def act(stage: Stage) -> None:
        group = stage.one(stage.groups(*([] if stage.perhaps(0.1) else states)))
        body = {"acceptRolledBack": stage.perhaps(0.4)} if verb.startswith("deploy") else {}
        name = stage.somebody("maud", "moe")
        role = stage.users[name].role
        is_done = stage.ask(name, "POST", f"/api/task-groups/{group.id}/{verb}", body) is not None
        assert not is_done or role >= Role.MAINTAINER, f"{name} may not {verb} as {role}"

    return act


cancel_group = _on_group("cancel", "pending", "merging", "merged", "deploying_staging", "staging", "failed")
retry_group = _on_group("retry", "failed", "merged", "staging")
to_staging = _on_group("deploy-staging", "pending", "merging", "merged")
to_production = _on_group("deploy-production", "staging")


def take_out(stage: Stage) -> None:
    group = stage.one(stage.groups("pending", "merging", "merged", "staging", "failed", "deploying_production"))
    task = stage.one(stage.all(Task, Task.project_id == group.project_id))
    stage.ask(stage.somebody("maud"), "POST", f"/api/task-groups/{group.id}/remove", {"taskId": task.id})


def roll_back(stage: Stage) -> None:
    live = stage.one(stage.deployments(Deployment.environment_ != "preview"))
    body = {}
    if stage.perhaps(0.5):
        of_place = (Deployment.project_id == live.project_id, Deployment.environment_ == live.environment_)
        body = {"toDeploymentId": stage.one(stage.deployments(*of_place)).id}
    stage.ask(stage.somebody("maud", "moe"), "POST", f"/api/deployments/{live.id}/rollback", body)


def change_project(stage: Stage) -> None:
    project = stage.one(stage.projects())
    changes: list[dict[str, object]] = [
        {"maxParallelTasks": stage.one([None, 1, 2])}, {"separateApprover": stage.perhaps(0.3)},
        {"allowDirectPush": stage.perhaps(0.5)},
        {"envVars": {"A": str(stage.random.randint(1, 9))}}, {"previewTtlHours": stage.random.randint(1, 3)},
        {"questionRules": {"remindMinutes": 5, "deadlineMinutes": 30, "onDeadline": "default"}}, {"questionRules": {}},
    ]  # fmt: skip
    stage.ask(stage.somebody("maud", "ada"), "PATCH", f"/api/projects/{project.id}", stage.one(changes))


ACTS: dict[Act, int] = {
    create_task: 14, approve: 24, reject: 3, cancel: 2, retry: 6, take_over: 1, hand_back: 4,
    answer: 10, group_tasks: 16, cancel_group: 2, retry_group: 3, to_staging: 12, to_production: 20, take_out: 2,
    roll_back: 4, change_project: 2,
}  # fmt: skip
"""Each with its weight."""
