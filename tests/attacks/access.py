"""Who may call which route: one row each. A route without a row fails the suite."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from common.values.states import Role

PUBLIC, AGENT, RUN, ENROLMENT = "public", "agent", "run", "enrolment"


@dataclass(frozen=True)
class Row:
    """needs: the least role of a person, or which other principal. hides: what the path names lies in a project, so for
    who does not see that it does not exist. names: the body names what lies there: a 400 as for a missing one.
    body: one that a caller who may do it could send; words in braces are ids.
    """

    needs: Role | str
    hides: bool = False
    names: bool = False
    body: dict[str, Any] | None = None


def _in_project(needs: Role, **body: Any) -> Row:
    return Row(needs, hides=True, body=body or None)


V, M, X, A = Role.VIEWER, Role.MEMBER, Role.MAINTAINER, Role.ADMIN

TABLE: dict[str, Row] = {
    "GET /": Row(PUBLIC),
    "GET /ws": Row(PUBLIC),
    "GET /static/<path:name>": Row(PUBLIC),
    "GET /api/docs": Row(PUBLIC),
    "GET /docs": Row(PUBLIC),
    "GET /docs/<path:name>": Row(PUBLIC),
    "GET /api/openapi.json": Row(PUBLIC),
    "GET /api/client/<name>": Row(PUBLIC),
    "GET /api/forge/repositories": Row(A),
    "GET /api/health": Row(PUBLIC),
    "GET /api/health/live": Row(PUBLIC),
    "GET /api/health/ready": Row(PUBLIC),
    "POST /api/webhooks/gitea": Row(PUBLIC),
    "GET /git/<owner>/<name>": Row(PUBLIC),
    "GET /git/<owner>/<name>/pulls/<int:number>": Row(PUBLIC),
    "GET /git/<owner>/<name>/<path:service_path>": Row(PUBLIC),
    "POST /git/<owner>/<name>/<path:service_path>": Row(PUBLIC),
    "GET /gateway/<provider_name>/<path:path>": Row(PUBLIC),
    "POST /gateway/<provider_name>/<path:path>": Row(PUBLIC),
    "POST /api/auth/login": Row(PUBLIC),
    "POST /api/auth/refresh": Row(PUBLIC),
    "GET /metrics": Row(V),
    "GET /api/metrics": Row(V),
    "POST /api/auth/logout": Row(V),
    "POST /api/auth/password": Row(V),
    "GET /api/auth/me": Row(V),
    "GET /api/sessions": Row(V),
    "DELETE /api/sessions": Row(V),
    "DELETE /api/sessions/<id:session_id>": Row(V),
    "GET /api/users": Row(A),
    "POST /api/users": Row(A, body={"username": "new-user", "password": "a good password"}),
    "PATCH /api/users/<id:user_id>": Row(A, body={"role": "viewer"}),
    "DELETE /api/users/<id:user_id>": Row(A),
    "GET /api/tokens": Row(V),
    "POST /api/tokens": Row(V, body={"name": "made"}),
    "DELETE /api/tokens/<id:token_id>": Row(V),
    "GET /api/enrolment-tokens": Row(A),
    "DELETE /api/enrolment-tokens/<id:token_id>": Row(A),
    "POST /api/agents/enrolment-tokens": Row(A),
    "GET /api/agents": Row(V),
    "GET /api/agents/<agent_id:agent_id>": Row(V),
    "GET /api/agents/<agent_id:agent_id>/logs": Row(V),
    "POST /api/agents/<agent_id:agent_id>/drain": Row(X),
    "DELETE /api/agents/<agent_id:agent_id>": Row(A),
    "GET /api/drivers": Row(V),
    "GET /api/model-providers": Row(M),
    "POST /api/model-providers": Row(
        A, body={"name": "local", "api": "openai", "baseUrl": "http://x", "login": "none"}
    ),
    "GET /api/model-providers/<id:provider_id>": Row(A),
    "PATCH /api/model-providers/<id:provider_id>": Row(A, body={"enabled": False}),
    "DELETE /api/model-providers/<id:provider_id>": Row(A),
    "POST /api/model-providers/<id:provider_id>/test": Row(A),
    "GET /api/spend": Row(V),
    "GET /api/caps": Row(A),
    "PATCH /api/caps": Row(A, body={"day": {"tokens": 1000000}}),
    "GET /api/events": Row(V),
    "GET /api/webhook": Row(A),
    "PATCH /api/webhook": Row(A, body={"kinds": ["question"]}),
    "POST /api/webhook/secret": Row(A),
    "POST /api/webhook/test": Row(A),
    "GET /api/webhook/deliveries": Row(A),
    "GET /api/webhook/deliveries/<id:delivery_id>": Row(A),
    "POST /api/webhook/deliveries/<id:delivery_id>/retry": Row(A),
    "GET /api/inbox": Row(V),
    "GET /api/board": Row(V),
    "GET /api/jobs": Row(V),
    "GET /api/jobs/<id:job_id>": _in_project(V),
    "POST /api/jobs/<id:job_id>/retry": _in_project(X),
    "GET /api/projects": Row(V),
    "POST /api/projects": Row(X, body={"name": "New project"}),
    "POST /api/projects/sample": Row(X),
    "GET /api/projects/<id:project_id>": _in_project(V),
    "PATCH /api/projects/<id:project_id>": _in_project(X, description="Changed"),
    "DELETE /api/projects/<id:project_id>": _in_project(X),
    "POST /api/projects/<id:project_id>/retry": _in_project(X),
    "GET /api/projects/<id:project_id>/forbidden-paths": _in_project(V),
    "GET /api/projects/<id:project_id>/members": _in_project(V),
    "PUT /api/projects/<id:project_id>/members/<id:user_id>": _in_project(X, role="viewer"),
    "DELETE /api/projects/<id:project_id>/members/<id:user_id>": _in_project(X),
    "GET /api/tasks": Row(V),
    "POST /api/tasks": Row(M, names=True, body={"projectId": "{project_id}", "title": "Made"}),
    "GET /api/tasks/<id:task_id>": _in_project(V),
    "PATCH /api/tasks/<id:task_id>": _in_project(M, title="Changed"),
    "POST /api/tasks/<id:task_id>/respond": _in_project(M, questionId="{question_id}", response="Yes"),
    "POST /api/tasks/<id:task_id>/approve": _in_project(X),
    "GET /api/tasks/<id:task_id>/tests": _in_project(V),
    "GET /api/projects/<id:project_id>/tests": _in_project(V),
    "POST /api/projects/<id:project_id>/tests/quarantine": _in_project(X, name="test_page", reason="A slow clock"),
    "POST /api/projects/<id:project_id>/tests/test-base-again": _in_project(M),
    "POST /api/projects/<id:project_id>/tests/release": _in_project(X, name="test_page"),
    "POST /api/tasks/<id:task_id>/accept-lost-tests": _in_project(X, names=["test_page"]),
    "POST /api/tasks/<id:task_id>/accept-findings": _in_project(X, names=["AWS Access Key 0a1b2c3d4e"]),
    "POST /api/tasks/<id:task_id>/overrule-review": _in_project(X, reason="It is right as it is"),
    "POST /api/tasks/<id:task_id>/reject": _in_project(X, reason="No"),
    "POST /api/tasks/<id:task_id>/cancel": _in_project(M),
    "POST /api/tasks/<id:task_id>/retry": _in_project(M),
    "POST /api/tasks/<id:task_id>/resume": _in_project(M),
    "POST /api/tasks/<id:task_id>/comments": _in_project(M, body="Mind this"),
    "PATCH /api/tasks/<id:task_id>/comments/<id:comment_id>": _in_project(M, resolved=True),
    "GET /api/tasks/<id:task_id>/review": _in_project(M),
    "DELETE /api/tasks/<id:task_id>/review": _in_project(M),
    "POST /api/tasks/<id:task_id>/review/comments": _in_project(M, body="Mind this"),
    "PATCH /api/tasks/<id:task_id>/review/comments/<id:comment_id>": _in_project(M, body="Mind that"),
    "DELETE /api/tasks/<id:task_id>/review/comments/<id:comment_id>": _in_project(M),
    "POST /api/tasks/<id:task_id>/review/submit": _in_project(M, verdict="comment", body="Mind this"),
    "GET /api/tasks/<id:task_id>/file": _in_project(V),
    "GET /api/tasks/<id:task_id>/proposals": _in_project(V),
    "POST /api/tasks/<id:task_id>/proposals/<id:proposal_id>/accept": _in_project(M),
    "POST /api/tasks/<id:task_id>/proposals/<id:proposal_id>/dismiss": _in_project(M),
    "POST /api/tasks/<id:task_id>/messages": _in_project(M, text="Mind this"),
    "POST /api/tasks/<id:task_id>/take-over": _in_project(M),
    "POST /api/tasks/<id:task_id>/hand-back": _in_project(M, note="Go on"),
    "GET /api/tasks/<id:task_id>/attachments": _in_project(V),
    "POST /api/tasks/<id:task_id>/attachments": _in_project(M),
    "GET /api/tasks/<id:task_id>/attachments/<id:attachment_id>": _in_project(V),
    "DELETE /api/tasks/<id:task_id>/attachments/<id:attachment_id>": _in_project(M),
    "GET /api/tasks/<id:task_id>/pictures/<id:picture_id>": _in_project(V),
    "GET /api/tasks/<id:task_id>/diff": _in_project(V),
    "GET /api/tasks/<id:task_id>/events": _in_project(V),
    "GET /api/runs/<id:run_id>": _in_project(V),
    "GET /api/runs/<id:run_id>/transcript": _in_project(V),
    "GET /api/task-groups": Row(V),
    "POST /api/task-groups": Row(
        X, names=True, body={"projectId": "{project_id}", "taskIds": ["{task_id}"], "targetBranch": "staging"}
    ),
    "GET /api/task-groups/<id:group_id>": _in_project(V),
    "POST /api/task-groups/<id:group_id>/deploy-staging": _in_project(X),
    "POST /api/task-groups/<id:group_id>/deploy-production": _in_project(X),
    "POST /api/task-groups/<id:group_id>/cancel": _in_project(X),
    "POST /api/task-groups/<id:group_id>/remove": _in_project(X, taskId="{task_id}"),
    "POST /api/task-groups/<id:group_id>/retry": _in_project(X),
    "GET /api/task-groups/<id:group_id>/release": _in_project(V),
    "GET /api/task-groups/<id:group_id>/diff": _in_project(V),
    "GET /api/task-groups/<id:group_id>/plan": _in_project(V),
    "GET /api/task-groups/<id:group_id>/train": _in_project(V),
    "GET /api/task-groups/<id:group_id>/tests/<id:test_id>": _in_project(V),
    "GET /api/projects/<id:project_id>/environments": _in_project(V),
    "GET /api/receipts/key": Row(V),
    "GET /api/receipts/<sha>": _in_project(V),
    "GET /api/deployments": Row(V),
    "GET /api/deployments/<id:deployment_id>": _in_project(V),
    "GET /api/deployments/<id:deployment_id>/logs": _in_project(V),
    "GET /api/deployments/<id:deployment_id>/rollback": _in_project(X),
    "POST /api/deployments/<id:deployment_id>/rollback": _in_project(X),
    "POST /api/deployments/<id:deployment_id>/visit": _in_project(V),
    "POST /api/runner/register": Row(ENROLMENT),
    "POST /api/runner/heartbeat": Row(AGENT),
    "POST /api/runner/claim": Row(AGENT),
    "POST /api/runner/runs/<id:run_id>/finish": Row(RUN),
    "POST /api/runner/runs/<id:run_id>/logs": Row(RUN),
    "GET /api/runner/runs/<id:run_id>/messages": Row(RUN),
    "GET /api/runner/runs/<id:run_id>/attachments/<id:attachment_id>": Row(RUN),
    "POST /api/runner/runs/<id:run_id>/progress": Row(RUN),
    "POST /api/runner/runs/<id:run_id>/questions": Row(RUN),
    "GET /api/runner/runs/<id:run_id>/questions/<question_id:question_id>": Row(RUN),
    "GET /api/runner/runs/<id:run_id>/task": Row(RUN),
    "GET /api/runner/runs/<id:run_id>/feedback": Row(RUN),
    "GET /api/runner/runs/<id:run_id>/tasks": Row(RUN),
    "POST /api/runner/runs/<id:run_id>/review": Row(RUN, body={"verdict": "approve", "summary": "Good"}),
    "POST /api/runner/runs/<id:run_id>/proposals": Row(RUN, body={"proposals": [{"title": "Next"}]}),
    "PUT /api/runner/runs/<id:run_id>/session": Row(RUN),
    "GET /api/runner/runs/<id:run_id>/session": Row(RUN),
    "POST /api/runner/runs/<id:run_id>/usage": Row(RUN),
}


@dataclass(frozen=True)
class Principal:
    """Somebody with a token. role: a person's, at most what the token allows; None for no person. in_project: what they
    are in the restricted project, None if it does not exist for them. kind: agent, run or enrolment, else "person" or
    "nobody". is_own_run: the run of the path is theirs.
    """

    name: str
    kind: str = "nobody"
    role: Role | None = None
    in_project: Role | None = None
    is_own_run: bool = False
    headers: dict[str, str] = field(default_factory=dict)


def refusal(row: Row, who: Principal) -> int | None:
    """The status with which this principal is refused; None where they are let in."""
    if row.needs == PUBLIC:
        return None
    if isinstance(row.needs, Role):
        return _refusal_of_person(row, row.needs, who)
    if who.kind != row.needs:
        return 401 if who.role is None else 403
    return 404 if row.needs == RUN and not who.is_own_run else None


def _refusal_of_person(row: Row, needs: Role, who: Principal) -> int | None:
    if who.kind in {AGENT, RUN}:
        return 403
    if who.role is None:
        return 401
    if who.role < needs:
        return 403
    if not row.hides and not row.names:
        return None
    if who.in_project is None:
        return 404 if row.hides else 400
    return 403 if who.in_project < needs else None
