"""What an exit code of git and its last words say about its limits and about the machine."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from common.machine.git.limits import limits_prefix, met_limit, was_cut_short
from common.machine.processes.children import base_environment


@pytest.mark.parametrize(
    ("code", "said", "is_limit", "why"),
    [
        (0, "fatal: out of memory", False, None),
        (-signal.SIGXCPU, "", True, None),
        (128 + signal.SIGXFSZ, "", True, None),
        (128, "fatal: Out of memory, malloc failed", True, None),
        (128, "remote: fatal: out of memory", False, None),
        (-signal.SIGKILL, "", False, "was killed by SIGKILL"),
        (-35, "", False, "was killed by signal 35"),
        (128, "error: index-pack died of signal 15", False, "was killed by SIGTERM"),
        (128, "fatal: write error: No space left on device", False, "found no room on the disk"),
        (128, "fatal: not a git repository", False, None),
    ],
)
def test_an_end_is_the_limits_or_the_machines_or_neither(code: int, said: str, is_limit: bool, why: str | None) -> None:
    assert (met_limit(code, said), was_cut_short(code, said)) == (is_limit, why)


def test_the_leash_sets_the_limits() -> None:
    command = [*limits_prefix(), "cat", "/proc/self/limits"]
    said = subprocess.run(command, env=base_environment(os.devnull), capture_output=True, text=True)

    assert "Max core file size        0                    0" in said.stdout
