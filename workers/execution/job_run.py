"""Runs a job: claims it, renews its lease while it runs, and records how it ended.

A job's function gets a `Claimed` job and does the next missing step. It ends by recording a result in a service (which
ends the job in the same transaction), or by returning when there is nothing to do. An exception decides what follows:
ProviderUnavailable, Busy and AnotherKey retry later; CutShort retries a few times; ProviderRefused parks the job; a bug
is counted as an attempt, and the job is parked after the last one.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from billiard.exceptions import SoftTimeLimitExceeded
from celery.signals import setup_logging, worker_process_init, worker_process_shutdown

from common.errors import (
    MOST_RETRIES,
    NO_ROOM,
    AccessDenied,
    AnotherKey,
    Busy,
    CutShort,
    LeaseLost,
    ProviderRefused,
    ProviderUnavailable,
)
from common.jobs.broker import celery_app
from common.jobs.catalogue import PREPARE_RUN, Chain, Kind, Lease, chained
from common.services.activity import jobs as rows
from common.services.requests.access import acting
from common.services.upkeep.schema import forget_connections
from common.settings import settings
from common.telemetry.error_reports import flush_error_reports, start_error_reports
from common.telemetry.logs import configure_logs
from common.telemetry.tracing import in_trace, span, start_tracing, stop_tracing
from workers.execution import leases
from workers.execution.disk_space import has_disk_space

log = structlog.get_logger()
celery = celery_app()

Work = Callable[[Any], None]

registered: dict[str, Callable[[str], None]] = {}
"""By kind: the function that runs one step of a job, given its id. Tests use it to run jobs without a broker."""

_steps: dict[str, tuple[Work, rows.Parked | None]] = {}
"""By kind: what one step of a claimed job does, and what happens when it is parked."""

LONGEST_CHAIN_SECONDS = 5.0
"""For how long a worker goes on with the steps of one job before others get their turn."""
PROGRESS_SECONDS = 0.5
SWITCH_SECONDS = 0.0005
LONGEST_PAUSE_SECONDS = 600.0
"""The longest pause before a step that was cut short is tried again."""


class Claimed:
    """A claimed job as its function sees it: the lease, and a method to report progress."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self._reported_at = 0.0

    @property
    def subject_id(self) -> str:
        return self.lease.subject_id

    def progress(self, message: str, done: int | None = None, total: int | None = None) -> None:
        """Report progress to people. Calls within half a second of the last report are dropped."""
        if time.monotonic() - self._reported_at >= PROGRESS_SECONDS:
            self._reported_at = time.monotonic()
            rows.save_progress(self.lease, done, total, message)


def job(kind: Kind, *, parked: rows.Parked | None = None) -> Callable[[Work], Work]:
    """Register the function for jobs of this kind. parked: what happens to the subject when its job is parked."""

    def register(work: Work) -> Work:
        def run(job_id: str) -> None:
            if not _has_to_wait(kind):
                run_job(job_id, work, parked)

        def run_on(job_id: str, before_commit: bool = False) -> None:
            if not _has_to_wait(kind):
                try:
                    run_chain(job_id, work, parked, before_commit=before_commit)
                except Busy as error:
                    # It stays due, or its lease ends: the sweep sends it again.
                    log.warning("a job waits for the database", job=kind.name, reason=str(error))

        registered[kind.name] = run
        _steps[kind.name] = work, parked
        celery.task(run_on, name=kind.name, queue=kind.queue.value)
        return work

    return register


def _has_to_wait(kind: Kind) -> bool:
    # An unclaimed job stays due: the sweep sends it again until there is room.
    return kind.is_beginning and not has_disk_space()


def run_chain(job_id: str, work: Work, parked: rows.Parked | None, *, before_commit: bool = False) -> None:
    """Claim and run the job, and its next steps as far as they are due at once. No-op as `run_job`.

    before_commit: see `rows.claim_job`.
    """
    lease = rows.claim_job(job_id, parked, before_commit=before_commit)
    with chained(LONGEST_CHAIN_SECONDS, _kinds_claimed_along()) as chain:
        while lease is not None:
            chain.lease, chain.following = lease, None
            _run(lease, work, parked)
            following = chain.following
            # Somebody waits for what is taken along. Meanwhile nobody renews the lease of what follows: if it ends,
            # another worker may have claimed that.
            _run_claimed_along(chain)
            # What was to follow may have been rolled back; and a step may fail after it was recorded what follows.
            lease = following if following is not None and rows.holds(following) else None


def _run_claimed_along(chain: Chain) -> None:
    """Do the jobs that the step enqueued and that are claimed for this chain. Those that follow from them are rung."""
    chain.lease, beside = None, list(chain.beside)
    chain.beside.clear()
    for lease in beside:
        if rows.holds(lease):
            _run(lease, *_steps[lease.kind])


def _kinds_claimed_along() -> frozenset[str]:
    # With the local forge a run is prepared in milliseconds, so a quick worker may do it. Another may take seconds
    # to answer: that is for the slow worker.
    return frozenset({PREPARE_RUN.name}) if settings().forge.kind == "local" else frozenset()


def run_job(job_id: str, work: Work, parked: rows.Parked | None) -> None:
    """Claim and run the job once. No-op if it is not due or another worker holds it."""
    lease = rows.claim_job(job_id, parked)
    if lease is not None:
        _run(lease, work, parked)


def _run(lease: Lease, work: Work, parked: rows.Parked | None) -> None:
    """Do one step of the job, and record how it ended if the step did not."""
    with (
        structlog.contextvars.bound_contextvars(job=lease.kind, subject=lease.subject_id),
        leases.renewed(lease),
        in_trace(lease.trace_parent),
    ):
        try:
            with acting("platform"), _traced(lease):
                work(Claimed(lease))
                rows.finish_if_held(lease)
        except LeaseLost:
            log.warning("job was taken over by another worker", attempt=lease.attempts)
        except CutShort as error:
            # Another attempt is as expensive, so attempts are counted and the pause doubles with each.
            pause = (error.retry_after_seconds or 1) * 2.0 ** (lease.attempts - 1)
            _record_end(
                rows.fail_attempt, lease, str(error), parked, MOST_RETRIES + 1, min(pause, LONGEST_PAUSE_SECONDS)
            )
        except AccessDenied as error:
            _record_end(rows.wait_for_access, lease, str(error), parked, error.is_granted)
        except (ProviderUnavailable, Busy) as error:
            after = error.retry_after_seconds if isinstance(error, ProviderUnavailable) else None
            _record_end(rows.put_off, lease, str(error), parked, after)
        except AnotherKey as error:
            _record_end(rows.wait_for_key, lease, str(error))
        except ProviderRefused as error:
            _record_end(rows.give_up, lease, error.message, parked)
        except SoftTimeLimitExceeded:
            _record_end(rows.fail_attempt, lease, "it took longer than its time limit", parked)
        except OSError as error:
            _record_os_error(lease, error, parked)
        except Exception as error:
            # A bug: counted as an attempt, shown on the job and logged. It must not end the worker.
            log.exception("job failed", attempt=lease.attempts)
            _record_end(rows.fail_attempt, lease, f"{type(error).__name__}: {error}", parked)


def _record_os_error(lease: Lease, error: OSError, parked: rows.Parked | None) -> None:
    """A full disk or too many open files is a problem of the machine: retry later. Anything else is a bug."""
    if error.errno in NO_ROOM:
        log.warning("job found no room on this machine", attempt=lease.attempts, reason=error.strerror)
        _record_end(rows.put_off, lease, f"there is no room on this machine: {error}", parked, None)
    else:
        log.exception("job failed", attempt=lease.attempts)
        _record_end(rows.fail_attempt, lease, f"{type(error).__name__}: {error}", parked)


def _record_end(record: Callable[..., None], lease: Lease, *arguments: object) -> None:
    """Record how the job ended. If that fails now, the lease expires and the sweep sends the job again.

    If a reason can't be masked, as the project's variables can't be opened, the job waits until they can.
    """
    try:
        try:
            record(lease, *arguments)
        except AnotherKey as error:
            rows.wait_for_key(lease, str(error))
    except (LeaseLost, Busy) as error:
        log.warning("the end of a job could not be recorded", error=str(error))


@contextmanager
def _traced(lease: Lease) -> Iterator[None]:
    """A span of the trace that the job belongs to. One of no trace, such as the sweep's, has none."""
    if lease.trace_parent is None:
        yield
        return
    about: dict[str, str | int | bool | None] = {
        "aiworker.job": lease.kind,
        "aiworker.subject": lease.subject_id,
        "aiworker.attempt": lease.attempts,
    }
    with span(f"job {lease.kind}", "consumer", about):
        yield


def _after_fork(**_arguments: object) -> None:
    # A job waits for Celery's thread and the announcer's, and they for it, each as long as the other may go on: usually
    # 5 ms, which is as much as a step takes.
    sys.setswitchinterval(SWITCH_SECONDS)
    forget_connections()
    start_tracing("worker")
    start_error_reports("worker")


def _before_exit(**_arguments: object) -> None:
    # A process of the pool ends without running what is registered for its exit.
    stop_tracing()
    flush_error_reports()


def _set_up_logs(**_arguments: object) -> None:
    """Replace Celery's logging with ours, without its line per message: the sweeps alone would log one each second."""
    configure_logs()
    for noisy in ("celery.worker.strategy", "celery.app.trace", "celery.beat"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("py.warnings").addFilter(_is_of_use)


def _is_of_use(record: logging.LogRecord) -> bool:
    """False for Celery's warning, each time that Redis goes away, that messages of running tasks come back.

    They do not here. Celery shows such warnings whatever the filters of `warnings` say.
    """
    return "CPendingDeprecationWarning" not in record.getMessage()


worker_process_init.connect(_after_fork, weak=False)
worker_process_shutdown.connect(_before_exit, weak=False)
setup_logging.connect(_set_up_logs, weak=False)
