"""The probe of a worker: a real one that answers, one that hangs, and a Redis that is away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.providers.runtime_contract import until
from tests.servers import ROOT

WORKER = ["worker", "-Q", "slow", "-n", "slow@%h", "--pool=solo", "--without-gossip", "--without-mingle"]


@pytest.fixture
def environ(redis_url: str, tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "AIWORKER_REDIS_URL": redis_url, "AIWORKER_DATA_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}


@pytest.fixture
def worker(environ: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-m", "celery", "--app", "workers", *WORKER]
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log)
        yield process
        process.kill()
        process.wait()


# However busy this machine is: a Redis that does not answer the probe in time is not the worker's fault.
PATIENT_PROBE = """
import runpy
from common.events import feed
feed.ANSWER_SECONDS = 60
runpy.run_module("workers.execution.probe", run_name="__main__", alter_sys=True)
"""


def _asked(environ: dict[str, str], *arguments: str) -> int:
    command = [sys.executable, "-P", "-c", PATIENT_PROBE, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, check=False).returncode


@pytest.mark.slow
def test_a_worker_is_alive_as_long_as_it_answers(environ: dict[str, str], worker: subprocess.Popen[bytes]) -> None:
    until(lambda: _asked(environ, "slow") == 0, what="the worker's answer")

    worker.send_signal(signal.SIGSTOP)

    assert _asked(environ, "slow") == 1


def test_a_redis_that_is_away_is_not_the_workers_fault(environ: dict[str, str], tmp_path: Path) -> None:
    assert _asked({**environ, "AIWORKER_REDIS_URL": f"unix://{tmp_path}/nothing.sock"}, "slow") == 0


def test_a_worker_must_be_named(environ: dict[str, str]) -> None:
    assert _asked(environ) == 2
