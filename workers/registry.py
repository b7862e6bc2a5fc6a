"""The Celery app with every job on it. Importing a module of jobs registers them."""

from __future__ import annotations

from common.settings import settings
from workers import sweeps
from workers.job import celery, registered
from workers.jobs import agents, delivery, projects, runs

app = celery

# Beat keeps its schedule there, and with a key of one's own nobody else has made it.
settings().store.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)

MODULES = (projects, runs, agents, delivery, sweeps)

__all__ = ["MODULES", "app", "registered"]
