"""The catalogue of job kinds: in which queue each runs, and how often it is tried. Independent of Celery.

A job gets the id of one row and nothing else. It compares the wanted with the actual state, does the next missing step
and records it, so running it twice has the same effect as running it once.
"""

from __future__ import annotations

import contextlib
import contextvars
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class Queue(StrEnum):
    SWEEP = "sweep"
    """The periodic sweep. One worker runs only this queue and QUICK, so slow jobs never delay it."""
    QUICK = "quick"
    """Steps of well under a second."""
    SLOW = "slow"
    """Steps that wait for a forge or a runtime."""


@dataclass(frozen=True)
class Kind:
    """One kind of job. subject: what its id refers to. attempts: how often it may fail before it is parked.

    is_beginning: it starts new work, so it waits while the disk is short of space. Work under way continues.
    is_first: somebody waits for it, and it is short: its message overtakes the others in its queue.
    """

    name: str
    subject: str
    queue: Queue
    attempts: int = 5
    is_beginning: bool = False
    is_first: bool = False


@dataclass(frozen=True)
class Lease:
    """A worker's claim of a job.

    project_id: None for jobs of the platform. fence: the number of this claim; the queue refuses writes with an older
    one. generation: how often the job had been enqueued when it was claimed. attempts: includes this attempt.
    trace_parent: of what enqueued it; None: of no trace.
    """

    job_id: str
    kind: str
    subject_id: str
    project_id: str | None
    fence: int
    generation: int
    attempts: int
    trace_parent: str | None = None


@dataclass
class Chain:
    """What a worker process does without giving a job back between its steps.

    lease: of the present step. until: on the monotonic clock; see `chained`. takes_along: names of kinds. following: of
    the next step, which is due at once; None: the job ended, or waits. beside: of new jobs that the step enqueued.
    Both may be of a transaction that was rolled back: look whether they are held.
    """

    lease: Lease | None
    until: float
    takes_along: frozenset[str] = frozenset()
    following: Lease | None = None
    beside: list[Lease] = field(default_factory=list)

    def takes(self, kind: Kind) -> bool:
        """Whether a new job of this kind is done here, and not by the worker that a message would reach."""
        return kind.name in self.takes_along and time.monotonic() < self.until


_chain: contextvars.ContextVar[Chain | None] = contextvars.ContextVar("chain", default=None)


def chain_of_this_thread() -> Chain | None:
    """The chain inside which this is called; None outside of `chained`."""
    return _chain.get()


@contextlib.contextmanager
def chained(seconds: float, takes_along: frozenset[str] = frozenset()) -> Iterator[Chain]:
    """Inside, a step that is due at once is claimed with the record of the one before it, and no message is sent.

    seconds: after that, the next step is sent to the queue as usual, so that a long chain does not keep other jobs
    waiting. takes_along: names of the kinds of which a new job is claimed in the same way, one for each transaction. If
    the process dies, the leases end and the sweep sends them again, as after any claim.
    """
    chain = Chain(None, time.monotonic() + seconds, takes_along)
    token = _chain.set(chain)
    try:
        yield chain
    finally:
        _chain.reset(token)


LEASE_SECONDS = 30
"""How long a claim is valid without renewal. After that, the job of a dead worker can be claimed again."""
LEASE_RENEWAL_SECONDS = 10
SOFT_LIMIT_SECONDS = 570
HARD_LIMIT_SECONDS = 600
UNAVAILABLE_HOURS = 24
"""For how long a job is tried again while a provider does not answer."""

CATALOGUE: dict[str, Kind] = {}


def _kind(
    name: str, subject: str, queue: Queue, attempts: int = 5, *, is_beginning: bool = False, is_first: bool = False
) -> Kind:
    kind = Kind(name, subject, queue, attempts, is_beginning, is_first)
    CATALOGUE[name] = kind
    return kind


PROVISION_PROJECT = _kind("project.provision", "project", Queue.SLOW, is_beginning=True)
"""Create the repository (empty or imported), its branch protection and the namespace."""
PROTECT_PROJECT = _kind("project.protect", "project", Queue.SLOW)
"""Update the forge's branch protection to the project's present settings, and its webhook to what it tells today."""
DELETE_PROJECT = _kind("project.delete", "project", Queue.SLOW)
"""Remove everything of the project at the forge and in the runtime, then its rows."""
WATCH_REPOSITORY = _kind("project.watch_repository", "project", Queue.SLOW)
"""Compare the forge's branches with the verified and approved commits; a later push voids them."""

SCHEDULE_TASKS = _kind("task.schedule", "platform", Queue.QUICK, is_beginning=True)
"""Give claimable tasks to free agents."""
PUBLISH_TASK = _kind("task.publish", "task", Queue.SLOW)
"""Open the pull request of verified work and start its preview; then the task is ready to test."""
TAKE_PICTURES = _kind("task.pictures", "task", Queue.SLOW, attempts=2)
"""Take pictures of a task's preview, and show them on its pull request; remove those of another commit there."""
CLEAN_UP_TASK = _kind("task.clean_up", "task", Queue.SLOW)
"""Close the pull request of a finished or cancelled task and take its preview down."""

PREPARE_RUN = _kind("run.prepare", "run", Queue.SLOW, is_beginning=True, is_first=True)
"""Create the branch and the credential of a run; then its agent may claim it."""
VERIFY_RUN = _kind("run.verify", "run", Queue.SLOW)
"""Verify the agent's result on the exact commit that it names."""
MEASURE_COVERAGE = _kind("run.coverage", "run", Queue.SLOW, attempts=2)
"""Run the tests of proven work once more, measured, and note which of its lines none of them touches."""
RELEASE_RUN = _kind("run.release", "run", Queue.QUICK)
"""End the run of a task that a person has taken over, if its agent did not."""
CLOSE_RUN = _kind("run.close", "run", Queue.SLOW)
"""Revoke the credential of an ended run."""

RUN_AGENT = _kind("agent.run", "agent", Queue.SLOW)
"""Create the pod of an agent, watch it, and remove it when its run is over."""
SWEEP_AGENTS = _kind("agent.sweep", "platform", Queue.SLOW)
"""Remove pods whose agents the platform does not know."""

MERGE_GROUP = _kind("group.merge", "group", Queue.SLOW)
"""Build the release branch, test it, and wait for the statuses that the project requires of its own CI."""
FINISH_GROUP = _kind("group.finish", "group", Queue.SLOW)
"""After production: close the pull requests as merged, tag the release."""

DEPLOY = _kind("deployment.deploy", "deployment", Queue.SLOW)
"""Deploy one version to an environment, watch its health, and record the result."""
PUBLISH_RECEIPT = _kind("receipt.publish", "deployment", Queue.SLOW)
"""Put the receipts of a production commit into its repository, as a git note on the commit."""
TAKE_DOWN = _kind("deployment.take_down", "deployment", Queue.SLOW)
"""Remove a preview that is no longer needed."""

RESTORE_RUNTIME = _kind("runtime.restore", "platform", Queue.SLOW)
"""Start live deployments that do not run, and remove apps that no deployment accounts for."""

SEND_WEBHOOK = _kind("webhook.send", "platform", Queue.SLOW)
"""Send the next message that is due to the outgoing webhook. One at a time, so a slow receiver delays only these."""
