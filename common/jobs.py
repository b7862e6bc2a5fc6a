"""The catalogue of jobs: what kinds there are, in which queue they run, how often they are tried.

It knows no Celery. A job is told which row, never what to do: it reads what is wanted and what is there, does the
next missing step and records it, so doing it twice is doing it once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Queue(StrEnum):
    SWEEP = "sweep"
    """The clockwork. Has a worker with QUICK of its own, so slow work never delays it."""
    QUICK = "quick"
    """Steps of well under a second."""
    SLOW = "slow"
    """Steps that wait for a forge or a runtime."""


@dataclass(frozen=True)
class Kind:
    """One kind of job. subject says whose id it is told; attempts: how often it may crash before it is parked.

    is_beginning: it begins new work that fills the disk, so it waits for room there; what is under way goes on.
    """

    name: str
    subject: str
    queue: Queue
    attempts: int = 5
    is_beginning: bool = False


@dataclass(frozen=True)
class Lease:
    """A claimed job, as the worker that claimed it knows it.

    project_id: None for the platform's own jobs. fence: the number of this claim; the queue refuses every write that
    carries an older one. generation: how often the job had been enqueued when it was claimed. attempts: this one
    included.
    """

    job_id: str
    kind: str
    subject_id: str
    project_id: str | None
    fence: int
    generation: int
    attempts: int


LEASE_SECONDS = 30
"""How long a claim holds without being renewed; a worker that dies is noticed after that."""
LEASE_RENEWAL_SECONDS = 10
SOFT_LIMIT_SECONDS = 570
HARD_LIMIT_SECONDS = 600
UNAVAILABLE_HOURS = 24
"""For how long a job goes on looking when the world does not answer."""

CATALOGUE: dict[str, Kind] = {}


def _kind(name: str, subject: str, queue: Queue, attempts: int = 5, *, is_beginning: bool = False) -> Kind:
    kind = Kind(name, subject, queue, attempts, is_beginning)
    CATALOGUE[name] = kind
    return kind


PROVISION_PROJECT = _kind("project.provision", "project", Queue.SLOW, is_beginning=True)
"""Make the repository (empty or imported), its protection and the namespace true."""
PROTECT_PROJECT = _kind("project.protect", "project", Queue.SLOW)
"""Have the forge's rules for pushes say what the project says now."""
DELETE_PROJECT = _kind("project.delete", "project", Queue.SLOW)
"""Remove everything of the project outside, then its rows."""
WATCH_REPOSITORY = _kind("project.watch_repository", "project", Queue.SLOW)
"""Compare the forge's branches with what was proven and approved; a push after the proof voids it."""

SCHEDULE_TASKS = _kind("task.schedule", "platform", Queue.QUICK, is_beginning=True)
"""Give claimable tasks to free agents."""
PUBLISH_TASK = _kind("task.publish", "task", Queue.SLOW)
"""Open the pull request of proven work and start its preview; then it is ready to test."""
CLEAN_UP_TASK = _kind("task.clean_up", "task", Queue.SLOW)
"""Close the pull request and take the preview down of a task that is over."""

PREPARE_RUN = _kind("run.prepare", "run", Queue.SLOW, is_beginning=True)
"""Make the branch and the credential of a run; then its agent may claim it."""
VERIFY_RUN = _kind("run.verify", "run", Queue.SLOW)
"""Prove, on the exact commit, what the agent claims."""
CLOSE_RUN = _kind("run.close", "run", Queue.SLOW)
"""Take the credential of an ended run away."""

RUN_AGENT = _kind("agent.run", "agent", Queue.SLOW)
"""Make the pod of an agent, watch it, remove it when its run is over."""
SWEEP_AGENTS = _kind("agent.sweep", "platform", Queue.SLOW)
"""Remove pods of agents that the platform does not know (any more)."""

MERGE_GROUP = _kind("group.merge", "group", Queue.SLOW)
"""Build the release branch and test it."""
FINISH_GROUP = _kind("group.finish", "group", Queue.SLOW)
"""After production: close the pull requests as merged, tag the release."""

DEPLOY = _kind("deployment.deploy", "deployment", Queue.SLOW)
"""Bring one version to an environment, watch its health, record how it ended."""
TAKE_DOWN = _kind("deployment.take_down", "deployment", Queue.SLOW)
"""Remove a preview that nobody needs any more."""

RESTORE_RUNTIME = _kind("runtime.restore", "platform", Queue.SLOW)
"""Every live deployment runs, and nothing runs that should not."""
