"""The Celery app with every job on it. Importing a module of jobs registers them."""

from __future__ import annotations

from workers import agents, delivery, projects, runs, sweeps
from workers.job import celery, registered

app = celery

MODULES = (projects, runs, agents, delivery, sweeps)

__all__ = ["MODULES", "app", "registered"]
