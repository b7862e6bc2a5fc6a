"""What the launcher has a fork do in the database before the web server answers."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from common.machine.locks import locked
from tests.e2e.instance import wait_until
from tests.processes import child_processes, command_words
from tests.servers import ROOT

# As in the launcher, which has one thread: a process with several can't be forked.
PREPARE = """
import dataclasses, json, sys
from common.errors import Misconfigured
from web.launcher.database_process import prepare
said = []
try:
    answer = dataclasses.asdict(prepare(has_agents="agents" in sys.argv, say=said.append))
except Misconfigured as error:
    answer = {"error": str(error)}
print(json.dumps([answer, said]))
"""


DRAINED = {
    "state": "draining", "pod_name": "local-1", "capabilities": "[]", "driver": "scripted", "drivers": "[]",
    "findings": "[]", "version": "1", "slots": 1, "tasks_completed": 0, "created_at": "2026-01-01 00:00:00.000000",
    "seen_at": "2026-01-01 00:00:00.000000",
}  # fmt: skip


def prepared(
    data_dir: Path, *command_words: str, redis_url: str = "redis://127.0.0.1:9"
) -> tuple[dict[str, str | None], list[str]]:
    """What a launcher gets as the answer, and the lines that it says."""
    unset = {"AIWORKER_DATABASE_URL", "AIWORKER_ADMIN_PASSWORD"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    # Nobody answers at Redis's address: what is told to other processes is lost, and nothing waits for it.
    environment |= {"AIWORKER_DATA_DIR": str(data_dir), "AIWORKER_REDIS_URL": redis_url}
    command = [sys.executable, "-c", PREPARE, *command_words]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    answer, said = json.loads(ended.stdout)
    return answer, said


@pytest.mark.slow
def test_the_database_is_made_ready_and_a_newer_one_is_refused(tmp_path: Path) -> None:
    first, said = prepared(tmp_path, "agents")
    assert first["admin_password"]
    assert first["enrolment_token"]
    assert not any(str(secret) in line for line in said for secret in first.values())

    again, _ = prepared(tmp_path)
    assert again == {"admin_password": None, "enrolment_token": None}

    with closing(sqlite3.connect(tmp_path / "aiworker.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    refused, _ = prepared(tmp_path, "agents")
    assert "has the schema of a newer version" in str(refused["error"])


@pytest.mark.slow
def test_local_agents_that_were_drained_work_again(tmp_path: Path) -> None:
    prepared(tmp_path, "agents")
    with closing(sqlite3.connect(tmp_path / "aiworker.db")) as database, database:
        for name in ("local", "elsewhere"):
            values = {**DRAINED, "id": f"agent-{name}", "digest": name}
            places = ", ".join(f":{column}" for column in values)
            database.execute(f"INSERT INTO agents ({', '.join(values)}) VALUES ({places})", values)
    for number, identity in enumerate(({"agentId": "agent-local"}, {"agentId": "agent-forgotten"}, [])):
        (tmp_path / "agent" / str(number)).mkdir(parents=True)
        (tmp_path / "agent" / str(number) / "agent.json").write_text(json.dumps(identity))

    prepared(tmp_path)
    assert states_of_agents(tmp_path) == {"agent-local": "draining", "agent-elsewhere": "draining"}
    _answer, said = prepared(tmp_path, "agents")
    assert states_of_agents(tmp_path) == {"agent-local": "offline", "agent-elsewhere": "draining"}
    assert [line for line in said if "agent:status" in line] == []


def states_of_agents(data_dir: Path) -> dict[str, str]:
    with closing(sqlite3.connect(data_dir / "aiworker.db")) as database:
        return dict(database.execute("SELECT id, state FROM agents").fetchall())


def test_a_preparation_that_is_killed_says_so(tmp_path: Path) -> None:
    # As the kernel does when memory runs out. It waits for the lock until then.
    with locked(tmp_path / ".migrate.lock"), ThreadPoolExecutor(1) as pool:
        preparing = pool.submit(prepared, tmp_path)
        wait_until("the process that prepares", lambda: bool(_preparing()))
        _preparing()[0].kill()

        answer, said = preparing.result()

    assert answer == {"error": "the database could not be made ready: the process for it was killed by SIGKILL"}
    assert said == []


def _preparing() -> list[psutil.Process]:
    """The process that prepares, once it has its own name: it is a fork."""
    return [one for one in child_processes(psutil.Process()) if command_words(one)[:1] == ["database-start"]]
