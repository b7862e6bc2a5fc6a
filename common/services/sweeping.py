"""The sweep: enqueues the periodic jobs and deletes old rows."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, select

from common.jobs import catalogue
from common.models.journal import Job, Mark
from common.services.activity.audit import seal_events
from common.services.activity.events import purge_events
from common.services.activity.jobs import set_mark
from common.services.agent_api import agent_sessions
from common.services.agent_api.transcripts import purge_transcripts
from common.services.agents.agents import forget_agents
from common.services.agents.pods import fleet_settings
from common.services.changes import preview_pictures
from common.services.delivery.group_tests import purge_verdicts
from common.services.delivery.test_run_log import purge_tests
from common.services.deployment.rollouts import purge_previews, take_expired_previews_down
from common.services.lifecycle import blocked_by_cancelled
from common.services.outgoing_webhook import collecting, delivering
from common.services.people.accounts import purge_logins
from common.services.people.tokens import purge_tokens
from common.services.proof import test_results
from common.services.requests.idempotency import purge_idempotency_keys
from common.services.tasks.forge_changes import watch_all
from common.services.tasks.question_deadlines import watch_questions
from common.services.upkeep.purging import purge, was_cut_short
from common.settings import settings
from common.settings.retention import JOB_DAYS
from common.transaction import Transaction, snapshot, transactional
from common.values.states import JobState

RESTORE_SECONDS = 10
"""How often the running apps are compared with the live deployments."""
PURGE_SECONDS = 600
KEPT_PLATFORM_JOBS_MINUTES = 10
SEAL_SECONDS = 300
"""For how long events may have no seal of the audit. Each range of events costs a row that is never deleted."""


@transactional
def enqueue_periodic_jobs(tx: Transaction) -> None:
    """Enqueue scheduling at each call, and the checks of the runtime and of agents' pods every RESTORE_SECONDS."""
    tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None)
    if _is_due(tx, "restore", RESTORE_SECONDS):
        tx.enqueue(catalogue.RESTORE_RUNTIME, "platform", project_id=None)
        if fleet_settings() is not None:
            tx.enqueue(catalogue.SWEEP_AGENTS, "platform", project_id=None)


def sweep_old() -> None:
    """Act on unanswered questions, tell tasks that wait for a cancelled one, take expired previews down, have
    repositories read, seal events, delete old rows.

    Each in its own transaction. Safe to repeat.
    """
    watch_questions()
    blocked_by_cancelled.mark_blocked_tasks()
    take_expired_previews_down()
    watch_all()
    purge_platform_jobs()
    if _seal_is_due():
        seal_events()
    if _purge_is_due():
        _purge_old()


def _purge_old() -> None:
    event_days = settings().retention.event_days
    purged = (
        0 if event_days is None else purge_events(event_days),
        purge_idempotency_keys(), purge_logins(), purge_tokens(), purge_transcripts(), purge_tests(),
        purge_verdicts(), purge_previews(), preview_pictures.purge_pictures(), purge_jobs(),
        delivering.purge_deliveries(),
    )  # fmt: skip
    ended = agent_sessions.purge_sessions()
    reports = test_results.purge_reports()
    collecting.purge_positions()
    forget_agents()
    # Otherwise a busy instance would get more rows in PURGE_SECONDS than one call deletes.
    is_left = (
        was_cut_short(max(purged)),
        was_cut_short(ended, at_once=agent_sessions.AT_ONCE),
        was_cut_short(reports, at_once=test_results.AT_ONCE),
    )
    if any(is_left):
        _purge_at_next_sweep()


@transactional
def _purge_at_next_sweep(tx: Transaction) -> None:
    tx.session.execute(delete(Mark).where(Mark.name == "purge"))


@transactional
def _seal_is_due(tx: Transaction) -> bool:
    return _is_due(tx, "seal", SEAL_SECONDS)


@transactional
def _purge_is_due(tx: Transaction) -> bool:
    return _is_due(tx, "purge", PURGE_SECONDS)


def purge_platform_jobs() -> None:
    """Delete done jobs of the platform after KEPT_PLATFORM_JOBS_MINUTES, as there is a new one every few seconds."""
    with snapshot() as read:
        old = read.now() - timedelta(minutes=KEPT_PLATFORM_JOBS_MINUTES)
    done = Job.state_ == JobState.DONE, Job.finished_at < old
    purge(Job.id, Job.subject_id == "platform", *done, order=Job.finished_at)


def purge_jobs() -> int:
    """Delete jobs that were done before JOB_DAYS. Returns how many. Safe to repeat.

    Failed jobs stay until they are retried, the same job fails again, or their project is deleted.
    """
    with snapshot() as read:
        old = read.now() - timedelta(days=JOB_DAYS)
    return purge(Job.id, Job.state_ == JobState.DONE, Job.finished_at < old, order=Job.finished_at)


def _is_due(tx: Transaction, name: str, seconds: float) -> bool:
    """Whether the mark is older than `seconds` or missing; if so, set it to now."""
    mark = tx.find(select(Mark).where(Mark.name == name))
    if mark is not None and mark.at > tx.now() - timedelta(seconds=seconds):
        return False
    set_mark(tx, name, {})
    return True
