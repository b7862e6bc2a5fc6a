"""What people may do, at random: to tasks, questions, groups, versions, projects, roles, agents and caps."""

from __future__ import annotations

from common.models import Deployment, Job, Proposal, Task
from common.states import Role
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
    if stage.perhaps(0.1):
        body["awaitsFiles"] = True
    if stage.perhaps(0.1):
        body["caps"] = {"runs": stage.random.randint(1, 2)}
    stage.ask(stage.somebody("mia", "maud", "moe", "ada"), "POST", "/api/tasks", body)


def edit_task(stage: Stage) -> None:
    task = stage.one(stage.tasks())
    changes = [
        {"title": f"{task.title[:40]}, again"}, {"priority": stage.one(["low", "urgent"])}, {"labels": ["fix"]},
        {"description": "```steps\n- say: Bye\n```\n"}, {"caps": {"runs": stage.random.randint(1, 5)}},
        {"caps": {"runs": None}}, {"notes": "Mind this"},
    ]  # fmt: skip
    stage.ask(stage.somebody("mia", "maud"), "PATCH", f"/api/tasks/{task.id}", stage.one(changes))


def set_state(stage: Stage) -> None:
    """By PATCH, as a board does it."""
    task = stage.one(stage.tasks())
    wanted = stage.one(["approved", "in_progress", "backlog", "cancelled", "ready_to_test", "staging"])
    if wanted == "cancelled" and stage.perhaps(0.7):
        raise NothingToDo
    stage.ask(stage.somebody("mia", "maud"), "PATCH", f"/api/tasks/{task.id}", {"state": wanted})


def _on_task(
    verb: str, *states: str, who: tuple[str, ...], needs: Role = Role.MEMBER, body: dict[str, object] | None = None
) -> Act:
    def act(stage: Stage) -> None:
        task = stage.one(stage.tasks(*([] if stage.perhaps(0.1) else states)))
        name = stage.somebody(*who)
        role = stage.role_of(name, task.project_id)
        is_done = stage.ask(name, "POST", f"/api/tasks/{task.id}/{verb}", body or {}) is not None
        assert not is_done or (role is not None and role >= needs), f"{name} may not {verb} as {role}"
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
resume = _on_task("resume", "in_progress", "backlog", who=("mia", "maud"))
comment = _on_task("comments", who=("mia",), body={"body": "Mind this"})
take_over = _on_task("take-over", "in_progress", "needs_input", "ready_to_test", "failed", who=("mia", "maud", "moe"))


def review(stage: Stage) -> None:
    """A draft of comments, perhaps never submitted."""
    task, name = stage.one(stage.tasks()), stage.somebody("mia", "maud", "moe")
    stage.ask(name, "POST", f"/api/tasks/{task.id}/review/comments", {"body": "Mind this"})
    if stage.perhaps(0.7):
        body = {"verdict": stage.one(["comment", "approve", "reject"]), "body": "So it is"}
        stage.ask(name, "POST", f"/api/tasks/{task.id}/review/submit", body)


def decide_on_proposal(stage: Stage) -> None:
    proposal = stage.one(stage.all(Proposal, Proposal.state == "proposed"))
    verb = "accept" if len(stage.tasks()) < MOST_TASKS else "dismiss"
    stage.ask(stage.somebody("mia"), "POST", f"/api/tasks/{proposal.task_id}/proposals/{proposal.id}/{verb}", {})


def write_message(stage: Stage) -> None:
    task = stage.one(stage.tasks())
    body = {"text": "Look here", "interrupt": stage.perhaps(0.4)}
    stage.ask(stage.somebody("mia", "moe"), "POST", f"/api/tasks/{task.id}/messages", body)


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
        role = stage.role_of(name, group.project_id)
        is_done = stage.ask(name, "POST", f"/api/task-groups/{group.id}/{verb}", body) is not None
        assert not is_done or (role is not None and role >= Role.MAINTAINER), f"{name} may not {verb} as {role}"

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
        {"restricted": stage.perhaps(0.3)}, {"allowDirectPush": stage.perhaps(0.5)},
        {"caps": {"total": {"runs": stage.random.randint(3, 30)}}}, {"caps": {"total": None, "task": None}},
        {"caps": {"total": {"costUsd": stage.random.randint(1, 5)}}}, {"agentInstructions": "Be brief"},
        {"caps": {"task": {"runs": stage.random.randint(1, 4)}}}, {"envVars": {"A": str(stage.random.randint(1, 9))}},
        {"previewTtlHours": stage.random.randint(1, 3)}, {"description": "Changed"},
        {"questionRules": {"remindMinutes": 5, "deadlineMinutes": 30, "onDeadline": "default"}}, {"questionRules": {}},
        {"agentReview": {"mode": stage.one(["blocking", "advisory"]), "driver": "acp"}}, {"agentReview": None},
    ]  # fmt: skip
    stage.ask(stage.somebody("maud", "ada"), "PATCH", f"/api/projects/{project.id}", stage.one(changes))


def delete_project(stage: Stage) -> None:
    projects = stage.projects()
    if len(projects) < 2:
        raise NothingToDo
    stage.ask(stage.somebody("ada", "maud"), "DELETE", f"/api/projects/{stage.one(projects).id}")


def change_role(stage: Stage) -> None:
    """Of anybody but the administrator."""
    name = stage.one(["maud", "moe", "mia"])
    body = {"role": stage.one(["viewer", "member", "maintainer"])}
    stage.ask("ada", "PATCH", f"/api/users/{stage.users[name].id}", body)


def changed_roles(stage: Stage) -> list[str]:
    return [name for name, user in stage.users.items() if stage.user(name).role != user.role]


def give_role_back(stage: Stage) -> None:
    names = changed_roles(stage)
    if not names:
        raise NothingToDo
    for name in names:
        body = {"role": stage.users[name].role.label}
        stage.ask("ada", "PATCH", f"/api/users/{stage.users[name].id}", body)


def join_project(stage: Stage) -> None:
    project, name = stage.one(stage.projects()), stage.one(["maud", "mia", "vic"])
    path = f"/api/projects/{project.id}/members/{stage.users[name].id}"
    if stage.perhaps(0.7):
        stage.ask("ada", "PUT", path, {"role": stage.one(["viewer", "member", "maintainer"])})
    else:
        stage.ask("ada", "DELETE", path)


def cap_platform(stage: Stage) -> None:
    caps = stage.one([{"day": {"runs": stage.random.randint(2, 30)}}, {"day": None}, {"total": None, "task": None}])
    stage.ask("ada", "PATCH", "/api/caps", caps)


def drain_agent(stage: Stage) -> None:
    stage.ask(stage.somebody("maud"), "POST", f"/api/agents/{stage.one(stage.agent_rows()).id}/drain", {})


def delete_agent(stage: Stage) -> None:
    if stage.perhaps(0.5):
        raise NothingToDo
    stage.ask(stage.somebody("ada"), "DELETE", f"/api/agents/{stage.one(stage.agent_rows()).id}")


def retry_job(stage: Stage) -> None:
    job = stage.one(stage.all(Job, Job.state_ == "failed"))
    stage.ask(stage.somebody("maud"), "POST", f"/api/jobs/{job.id}/retry", {})


ACTS: dict[Act, int] = {
    create_task: 14, edit_task: 2, set_state: 2, approve: 24, reject: 3, cancel: 2, retry: 6, resume: 2, comment: 1,
    take_over: 1, hand_back: 4, write_message: 1, answer: 10, group_tasks: 16, cancel_group: 2, retry_group: 3,
    to_staging: 12, to_production: 20, take_out: 2, roll_back: 4, change_project: 2, delete_project: 1, change_role: 1,
    give_role_back: 8, review: 3, decide_on_proposal: 2, join_project: 1, cap_platform: 1, drain_agent: 1,
    delete_agent: 1, retry_job: 2,
}  # fmt: skip
"""Each with its weight."""
