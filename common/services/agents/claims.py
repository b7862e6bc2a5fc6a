"""What an agent receives when it claims a run: put together from the run, its task and its project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import bindparam, select

from common.database.compiled_statements import AnySelect, Statement
from common.machine.text import camel_case
from common.models.project import Project
from common.models.run import Run, RunSession
from common.models.task import Attachment, Task, TaskCheck
from common.secrets.sealing import digest, new_token, seal, unseal
from common.secrets.signing import digest_of
from common.services.caps.caps import minutes_left
from common.services.caps.review_budgets import limits_left
from common.services.conversation.feedback import all_feedback_of, feedback_of
from common.services.conversation.task_edits import differs_from_session, digest_of_task
from common.services.project_settings.project_resources import location_of, network_of
from common.services.runs.prompts import Brief, resumed_prompt, whole_prompt
from common.services.runs.review_prompts import review_prompt
from common.services.spend.model_tokens import models_for_run
from common.transaction import Snapshot, Transaction
from common.values.json_codec import decode
from common.values.runs.claimed_run import (
    ClaimedAttachment,
    ClaimedProject,
    ClaimedRun,
    ClaimedService,
    ClaimedTask,
    Clone,
    Limits,
    RunAccess,
)
from common.values.states import Priority
from common.values.testing.agent_review import Purpose, read_agent_review

LEAST_MINUTES = 0.01
"""For a run that is claimed when no minutes are left: an agent takes 0 for no limit."""
FIRST_DRIVER = "scripted"
"""Wrote the sessions that name no driver: there was no other one."""


def claimed(tx: Transaction, task: Task, run: Run, process: str | None = None) -> ClaimedRun:
    """Everything that the runner of this run needs. Both are locked. Marks the feedback as delivered to the run.

    process: see `_handed_to`.
    """
    secrets = _handed_to(run, process)
    project = tx.get(Project, task.project_id)
    if run.is_review:
        return _claimed_review(tx, task, run, project, secrets)
    session_driver = session_driver_of(tx, task.id)
    has_session = session_driver is not None and run.driver in {None, session_driver}
    attachments = attachments_of(tx, task.id)
    news = feedback_of(tx, task, run, has_session=has_session)
    everything = all_feedback_of(tx, task, run)
    last = tx.rows(_LAST_RUN, task_id=run.task_id, run_id=run.id)
    was_limited = bool(last) and last[0][0] is not None
    fresh = whole_prompt(Brief(task, project, attachments, bool(last), was_limited), everything)
    told = digest_of_task(task, [one.id for one in attachments])
    changed = Brief(task, project, attachments) if has_session and differs_from_session(tx, task, told) else None
    prompt = resumed_prompt(news, changed, was_limited=was_limited) if has_session else fresh
    run.prompt_digest, run.fresh_prompt_digest = digest_of(prompt), digest_of(fresh)
    run.told_digest = told
    return ClaimedRun(
        RunAccess(run.id, run.round, secrets["token"], task.trace_parent),
        ClaimedTask(
            task.id, task.title, task.description, task.branch_name, Priority(task.priority).label, tuple(task.labels)
        ),
        ClaimedProject(
            project.id, project.name, project.default_branch, project.test_command, project.agent_instructions
        ),
        Clone("", task.branch_name, project.default_branch, secrets["username"], secrets["password"]),
        prompt,
        tuple(news if has_session else everything.current), _limits(tx, task, project),
        run.driver, has_session, location_of(project).repository,
        model=run.model,
        models=models_for_run(tx, run, secrets.get("model_token")),
        session_driver=session_driver,
        fresh_prompt=fresh,
        setup_command=project.setup_command,
        cache_paths=tuple(project.cache_paths),
        services=decode(tuple[ClaimedService, ...], project.services, key_of=camel_case, is_trusted=True),
        attachments=attachments,
        network=network_of(project),
    )  # fmt: skip


def _handed_to(run: Run, process: str | None) -> dict[str, str]:
    """The secrets of the run, which is handed to this process of its agent; None: the process does not say which it is.

    If it was handed to another one before, the run's token is a new one: that process, which may have ended or have a
    copy of the agent's identity, gets a 401 and drops the run.
    """
    assert run.secrets_sealed is not None
    secrets: dict[str, str] = unseal(run.secrets_sealed)
    if process is None or secrets.get("process") == process:
        return secrets
    if "process" in secrets:
        secrets["token"] = new_token("awr")
        run.token_digest = digest(secrets["token"])
    secrets["process"] = process
    run.secrets_sealed = seal(secrets)
    return secrets


def _claimed_review(
    tx: Transaction, task: Task, run: Run, project: Project, secrets: Mapping[str, str]
) -> ClaimedRun:  # fmt: skip
    """What a reviewer needs: to read the commit, and no more. The feedback that it reads is delivered to nobody."""
    attachments = attachments_of(tx, task.id)
    said = all_feedback_of(tx, task, run)
    prompt = review_prompt(Brief(task, project, attachments), [*said.earlier, *said.current], _warnings(tx, run))
    run.prompt_digest = run.fresh_prompt_digest = digest_of(prompt)
    review = read_agent_review(project.agent_review)
    return ClaimedRun(
        RunAccess(run.id, run.round, secrets["token"], task.trace_parent, run.purpose),
        ClaimedTask(
            task.id, task.title, task.description, task.branch_name, Priority(task.priority).label, tuple(task.labels)
        ),
        ClaimedProject(project.id, project.name, project.default_branch, project.test_command),
        Clone(
            "", task.branch_name, project.default_branch, secrets["username"], secrets["password"], run.claimed_sha
        ),
        prompt, (), _within_caps(tx, task, project, limits_left(tx, run, review.limits if review is not None else {})),
        run.driver, False, location_of(project).repository,
        model=run.model,
        models=models_for_run(tx, run, secrets.get("model_token")),
        fresh_prompt=prompt,
        attachments=attachments,
        network=network_of(project),
    )  # fmt: skip


def _warnings(tx: Transaction, run: Run) -> list[str]:
    """What the checks of the run's commit warn of, in their order."""
    query = select(TaskCheck.message).where(
        TaskCheck.task_id == run.task_id, TaskCheck.commit_sha == run.claimed_sha, TaskCheck.code.is_not(None),
        TaskCheck.status.in_(("passed", "skipped")),
    )  # fmt: skip
    found = tx.session.scalars(query.order_by(TaskCheck.at, TaskCheck.id))
    return list(dict.fromkeys(message for message in found if message))


def _limits(tx: Transaction, task: Task, project: Project) -> Limits:
    """The limits of one run of the task; a cap of minutes ends it when it is reached."""
    return _within_caps(tx, task, project, {**project.limits, **task.limits})


def _within_caps(tx: Transaction, task: Task, project: Project, stored: Mapping[str, float]) -> Limits:
    limits = decode(Limits, dict(stored), key_of=camel_case, is_trusted=True)
    left = minutes_left(tx, task, project)
    if left is None or (limits.max_minutes is not None and limits.max_minutes <= left):
        return limits
    return replace(limits, max_minutes=max(left, LEAST_MINUTES))


def session_driver_of(at: Snapshot | Transaction, task_id: str) -> str | None:
    """The driver that wrote the task's stored session; None if it has none."""
    found = at.rows(_SESSION_DRIVER, task_id=task_id)
    return found[0][0] or FIRST_DRIVER if found else None


def attachments_of(at: Snapshot | Transaction, task_id: str) -> tuple[ClaimedAttachment, ...]:
    """The task's attachments without their bytes, oldest first."""
    return tuple(ClaimedAttachment(*row) for row in at.rows(_ATTACHMENTS, task_id=task_id))


_SESSION_DRIVER = Statement(
    lambda: select(RunSession.driver).where(RunSession.task_id == bindparam("task_id"), RunSession.part == 0)
)
_ATTACHMENTS = Statement(
    lambda: (
        select(Attachment.id, Attachment.name, Attachment.media_type, Attachment.size_bytes)
        .where(Attachment.task_id == bindparam("task_id"))
        .order_by(Attachment.added_at, Attachment.id)
    )
)


def _last_run() -> AnySelect:
    """Until when the task's last run before this one that had begun to work was limited."""
    of_task = (Run.task_id == bindparam("task_id"), Run.id != bindparam("run_id"), Run.purpose == Purpose.WORK)
    begun = select(Run.limited_until).where(*of_task, Run.started_at.is_not(None))
    return begun.order_by(Run.created_at.desc(), Run.id.desc()).limit(1)


_LAST_RUN = Statement(_last_run)
