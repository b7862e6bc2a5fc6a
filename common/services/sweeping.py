"""What the clockwork rings and throws away."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from common import jobs
from common.models.journal import Job, Mark
from common.services.delivery.rollouts import take_expired_previews_down
from common.services.events import purge_events
from common.services.idempotency import purge_idempotency_keys
from common.services.jobs import set_mark
from common.services.people.accounts import purge_logins
from common.services.runs.agents import forget_agents
from common.services.runs.fleet import fleet_settings
from common.services.runs.transcripts import purge_transcripts
from common.services.tasks.watching import watch_all
from common.transaction import Transaction, transactional

RESTORE_SECONDS = 10
"""How often what runs is compared with what should."""
PURGE_SECONDS = 3600
KEPT_JOBS_DAYS = 7
KEPT_CLOCKWORK_MINUTES = 10


@transactional
def ring_clockwork(tx: Transaction) -> None:
    """Scheduling is looked at each time, the runtime and the pods of agents every RESTORE_SECONDS."""
    tx.enqueue(jobs.SCHEDULE_TASKS, "platform", project_id=None)
    if _is_due(tx, "restore", RESTORE_SECONDS):
        tx.enqueue(jobs.RESTORE_RUNTIME, "platform", project_id=None)
        if fleet_settings() is not None:
            tx.enqueue(jobs.SWEEP_AGENTS, "platform", project_id=None)


def sweep_old() -> None:
    """Each part in a transaction of its own. Safe to repeat."""
    take_expired_previews_down()
    watch_all()
    purge_clockwork()
    if _purge_is_due():
        purge_events()
        purge_idempotency_keys()
        purge_logins()
        purge_transcripts()
        purge_jobs()
        forget_agents()


@transactional
def _purge_is_due(tx: Transaction) -> bool:
    return _is_due(tx, "purge", PURGE_SECONDS)


@transactional
def purge_clockwork(tx: Transaction) -> None:
    """The platform's own jobs come every few seconds: those that were done minutes ago say nothing any more."""
    old = tx.now() - timedelta(minutes=KEPT_CLOCKWORK_MINUTES)
    tx.queue.delete_done(Job.subject_id == "platform", before=old)


@transactional
def purge_jobs(tx: Transaction) -> None:
    """Remove jobs that were done a week ago; failed ones stay until they are retried or their project goes."""
    tx.queue.delete_done(before=tx.now() - timedelta(days=KEPT_JOBS_DAYS))


def _is_due(tx: Transaction, name: str, seconds: float) -> bool:
    """Whether the mark is older than that; sets it if so."""
    mark = tx.find(select(Mark).where(Mark.name == name))
    if mark is not None and mark.at > tx.now() - timedelta(seconds=seconds):
        return False
    set_mark(tx, name, {})
    return True
