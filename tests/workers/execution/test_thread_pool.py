"""The pool of threads, and its limits of time and memory."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from billiard.exceptions import SoftTimeLimitExceeded

from tests.e2e.instance import wait_until
from tests.servers import ROOT
from workers.execution.thread_pool import OVERDUE_EXIT, TimedThreads

SOFT_SECONDS = 0.01
OVERDUE = """
import threading
from workers.execution.thread_pool import TimedThreads
pool = TimedThreads(limit=1, timeout=0.01)
begun = threading.Event()
def hang():
    begun.set()
    threading.Event().wait()
pool.apply_async(hang)
begun.wait()
while True:
    pool.enforce_limits()
"""
LARGE = """
import signal
from workers.execution.thread_pool import TimedThreads
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
pool = TimedThreads(limit=1, max_memory_per_child=1)
pool.enforce_limits()
pool.enforce_limits()
print(len(asked))
"""


@pytest.fixture
def pool() -> Iterator[TimedThreads]:
    made = TimedThreads(limit=1, soft_timeout=SOFT_SECONDS)
    yield made
    made.on_stop()


def answered(pool: TimedThreads, target: Any) -> list[object]:
    """Where the answer of this job will be."""
    answers: list[object] = []
    pool.apply_async(target, callback=answers.append)
    return answers


def test_a_job_above_the_soft_limit_is_interrupted_and_the_next_one_is_not(pool: TimedThreads) -> None:
    begun = threading.Event()

    def endless() -> str:
        try:
            begun.set()
            while True:
                pass
        except SoftTimeLimitExceeded:
            return "interrupted"

    first = answered(pool, endless)
    second = answered(pool, lambda: "done")

    assert begun.wait(60)
    over_at = time.monotonic() + SOFT_SECONDS
    wait_until("the endless job to be above the limit", lambda: time.monotonic() > over_at)
    # Once: by the next look the other job may have begun, and it may be kept from running for as long.
    pool.enforce_limits()
    wait_until("the endless job to end", lambda: bool(first))
    wait_until("the next job", lambda: bool(second))
    assert (first, second) == (["interrupted"], ["done"])


def test_a_job_above_the_hard_limit_ends_the_process() -> None:
    ended = subprocess.run([sys.executable, "-c", OVERDUE], cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.returncode == OVERDUE_EXIT
    assert "a job runs longer than its time limit" in ended.stdout


def test_too_much_memory_asks_the_worker_to_end_once() -> None:
    ended = subprocess.run([sys.executable, "-c", LARGE], cwd=ROOT, capture_output=True, text=True, check=True)

    assert ended.stdout.splitlines()[-1] == "1"
