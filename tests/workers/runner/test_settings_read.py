"""What an agent reads from its environment and its arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import Misconfigured
from workers.runner.__main__ import _parser, _settings
from workers.runner.loop import RunnerSettings
from workers.sandbox.limits import Bounds
from workers.sandbox.sandboxes import SandboxMode


def read(tmp_path: Path) -> RunnerSettings:
    arguments = ["--url", "http://127.0.0.1:3000", "--token-file", "token", "--work-dir", str(tmp_path)]
    return _settings(_parser().parse_args(arguments))


def test_an_agent_reads_what_the_supervisor_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AIWORKER_SANDBOX": "required",
        "AIWORKER_EGRESS_HOSTS": "mirror.example.com:8443,10.0.0.5",
        "AIWORKER_SANDBOX_BLOCKED": "10.1.0.0/16",
        "AIWORKER_SANDBOX_MEMORY_BYTES": str(2**31),
        "AIWORKER_AGENT_RUN_DISK_BYTES": str(2**32),
    }.items():
        monkeypatch.setenv(name, value)

    found = read(tmp_path)

    assert found.sandbox is SandboxMode.REQUIRED
    assert found.egress_hosts == ("mirror.example.com:8443", "10.0.0.5")
    assert found.blocked == ("10.1.0.0/16",)
    assert found.bounds == Bounds(memory_bytes=2**31, processes=1024)
    assert found.run_disk_bytes == 2**32


def test_the_stores_that_its_environment_names_are_blocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIWORKER_SANDBOX_BLOCKED", "10.1.0.0/16")
    monkeypatch.setenv("AIWORKER_DATABASE_URL", "mysql://aiworker:secret@192.0.2.7/aiworker")
    monkeypatch.setenv("AIWORKER_REDIS_URL", "redis://192.0.2.8:6379/0")

    assert read(tmp_path).blocked == ("10.1.0.0/16", "192.0.2.7/32", "192.0.2.8/32")


@pytest.mark.parametrize("name", ["AIWORKER_SANDBOX", "AIWORKER_SANDBOX_BLOCKED", "AIWORKER_AGENT_RUN_DISK_BYTES"])
def test_a_wrong_value_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "wrong")

    with pytest.raises(Misconfigured, match=name):
        read(tmp_path)
