"""The processes of a recorded unit are found by it, and no others."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.supervisor.units.records import Record, kill_recorded, started_at, write

MARK = "0123456789abcdef-0123456789abcdef"


@pytest.fixture
def leader() -> Iterator[subprocess.Popen[bytes]]:
    """A session leader without a mark in its environment."""
    process = subprocess.Popen(["sleep", "600"], start_new_session=True, env={})
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def records(tmp_path: Path) -> Path:
    made = tmp_path / "records"
    made.mkdir()
    return made


def test_a_recorded_unit_is_killed(leader: subprocess.Popen[bytes], records: Path) -> None:
    write(records / f"{MARK}.json", Record(MARK, leader.pid, started_at(leader.pid)))

    kill_recorded(records)

    assert leader.wait(20) == -9
    assert not records.exists()


@pytest.mark.parametrize("case", ["other start", "other boot"])
def test_another_process_with_the_recorded_pid_is_left_alone(
    leader: subprocess.Popen[bytes], records: Path, case: str
) -> None:
    boot_id, ticks = started_at(leader.pid) or ("", 0)
    recorded = {
        "other start": [leader.pid, boot_id, ticks - 1],
        "other boot": [leader.pid, "5d0c4e3c-0000-4000-8000-000000000000", ticks],
    }
    (records / f"{MARK}.json").write_text(json.dumps(recorded[case]))

    kill_recorded(records)

    assert leader.poll() is None
    assert not records.exists()
