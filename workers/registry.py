"""The Celery app with all jobs. Importing a module of jobs registers them."""

from __future__ import annotations

from common.settings import settings
from workers import sweeps
from workers.execution import sweep_timer
from workers.execution.job_run import celery, registered
from workers.jobs import agents, coverage, delivery, pictures, projects, receipts, runs, webhook

app = celery

# Beat has a file in this directory. If the secret key is set by the operator, nothing else creates it.
settings().store.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)

MODULES = (projects, runs, coverage, agents, delivery, receipts, pictures, webhook, sweeps, sweep_timer)

__all__ = ["MODULES", "app", "registered"]
