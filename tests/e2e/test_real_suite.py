"""The suite for servers that are really there, on the doubles as programs: so that it works on the day it is needed.

Its stories are told on the doubles by test_cluster_story.py, and most of the contracts by tests/providers.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.providers.runtime.kube import connect
from common.providers.runtime.places import MANAGED_BY, path
from tests.e2e.instance import wait_until
from tests.patience import PATIENCE_SECONDS
from tests.servers import ROOT

pytestmark = pytest.mark.slow

MANAGED = f"{MANAGED_BY}=aiworker"
CHOSEN = "people or kube or credential or pull_request_is_made"


@contextlib.contextmanager
def double(*arguments: str) -> Iterator[dict[str, str]]:
    """A double as a program; yields the variables it names. At its end nothing may be left on it."""
    command = [sys.executable, "-m", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        yield dict(pair.split("=", 1) for pair in said.split())
        process.send_signal(signal.SIGTERM)
        left, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, f"{arguments[0]} ended with {process.returncode}: {left}"
    finally:
        process.kill()
        process.communicate()


def test_it_runs_on_the_doubles_and_leaves_nothing(tmp_path: Path) -> None:
    with (
        double("tests.doubles.gitea", "--version", "1.15.11", "--rings") as gitea,
        double("tests.doubles.kubernetes", "--folder", str(tmp_path)) as cluster,
    ):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "-k", CHOSEN, "tests/real",
             "--deselect", "tests/real/test_story.py", "--basetemp", str(tmp_path / "real")],
            cwd=ROOT, env={**os.environ, "AIWORKER_TEST_REAL": "1", **gitea, **cluster},
            timeout=2 * PATIENCE_SECONDS,
            capture_output=True, text=True,
        )  # fmt: skip

        # What was told to go may take a moment.
        with contextlib.closing(connect(cluster["KUBECONFIG"])) as seen:
            wait_until("namespaces to be gone", lambda: seen.items(path("namespaces"), labels=MANAGED) == [])
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert " passed" in done.stdout
        assert "skipped" not in done.stdout
