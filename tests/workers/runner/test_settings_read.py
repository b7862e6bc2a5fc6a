"""What an agent reads from its environment and its arguments."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import Misconfigured
from workers.runner.__main__ import _parser, _settings
from workers.runner.loop import RunnerSettings
from workers.sandbox.sandboxes import SandboxMode
from workers.sandbox.walls import Bounds


def read(tmp_path: Path) -> RunnerSettings:
    arguments = ["--url", "http://127.0.0.1:3000", "--token-file", "token", "--work-dir", str(tmp_path)]
    return _settings(_parser().parse_args(arguments))


def test_an_agent_reads_what_the_supervisor_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AIWORKER_SANDBOX": "required",
        "AIWORKER_EGRESS_HOSTS": "mirror.example.com:8443,10.0.0.5",
        "AIWORKER_SANDBOX_BLOCKED": "10.1.0.0/16",
        "AIWORKER_SANDBOX_MEMORY_BYTES": str(2**31),
        "AIWORKER_SANDBOX_PROCESSES": "256",
        "AIWORKER_SANDBOX_FILE_BYTES": str(2**30),
        "AIWORKER_AGENT_RUN_DISK_BYTES": str(2**32),
    }.items():
        monkeypatch.setenv(name, value)

    found = read(tmp_path)

    assert found.sandbox is SandboxMode.REQUIRED
    assert found.egress_hosts == ("mirror.example.com:8443", "10.0.0.5")
    assert found.blocked == ("10.1.0.0/16",)
    assert found.bounds == Bounds(memory_bytes=2**31, processes=256, file_bytes=2**30)
    assert found.run_disk_bytes == 2**32


def test_the_stores_that_its_environment_names_are_blocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIWORKER_SANDBOX_BLOCKED", "10.1.0.0/16")
    monkeypatch.setenv("AIWORKER_DATABASE_URL", "mysql://aiworker:secret@192.0.2.7/aiworker")
    monkeypatch.setenv("AIWORKER_REDIS_URL", "redis://192.0.2.8:6379/0")

    assert read(tmp_path).blocked == ("10.1.0.0/16", "192.0.2.7/32", "192.0.2.8/32")


def test_a_work_directory_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"--work-dir .* is not text in UTF-8"):
        read(tmp_path / "caf\udce9")


def test_a_number_may_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "seconds").write_text("7.5\n")
    (tmp_path / "bytes").write_text("4096\n")
    monkeypatch.setenv("AIWORKER_DRAIN_SECONDS_FILE", str(tmp_path / "seconds"))
    monkeypatch.setenv("AIWORKER_AGENT_RUN_DISK_BYTES_FILE", str(tmp_path / "bytes"))

    assert (read(tmp_path).drain_seconds, read(tmp_path).run_disk_bytes) == (7.5, 4096)
    monkeypatch.setenv("AIWORKER_DRAIN_SECONDS_FILE", str(tmp_path / "none"))
    with pytest.raises(Misconfigured, match=r"AIWORKER_DRAIN_SECONDS_FILE=.*none can't be read"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["AIWORKER_SANDBOX", "AIWORKER_SANDBOX_BLOCKED", "AIWORKER_AGENT_RUN_DISK_BYTES"])
def test_a_wrong_value_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "wrong")

    with pytest.raises(Misconfigured, match=name):
        read(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LOG_LEVEL", "loud", "LOG_LEVEL=loud is not one of DEBUG, INFO"),
        ("AIWORKER_LOG_LEVEL", "loud", "AIWORKER_LOG_LEVEL=loud is not one of DEBUG, INFO"),
    ],
)
def test_an_agent_says_in_one_line_which_log_level_is_unknown(
    tmp_path: Path, name: str, value: str, words: str
) -> None:
    environ = {one: it for one, it in os.environ.items() if not one.endswith("LOG_LEVEL")} | {name: value}
    arguments = ["--url", "http://127.0.0.1:9", "--token-file", "token", "--work-dir", str(tmp_path)]
    ended = subprocess.run(
        [sys.executable, "-m", "workers.runner", *arguments], env=environ, capture_output=True, text=True, timeout=60
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith(f"aiworker agent: {words}")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("url", ["web:3000", "http://", "http://[fe80::1", "http://web:port"])
def test_an_address_of_the_platform_that_is_none_is_named(tmp_path: Path, url: str) -> None:
    arguments = ["--url", url, "--token-file", "token", "--work-dir", str(tmp_path)]

    with pytest.raises(Misconfigured, match=r"^--url .* is not an http or https address$"):
        _settings(_parser().parse_args(arguments))
