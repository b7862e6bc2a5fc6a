"""How a command ends: everything is told, and no thread or connection is left that the exit could wait for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from flask import Flask

from common import feed
from common.announcer import Announcement, Announcer
from common.services.people import tokens
from common.states import Role
from tests import builders
from tests.patience import PATIENCE_SECONDS
from tests.servers import ROOT
from tests.web.cli.test_main import aiworker
from tests.web.made import a_live_run, a_project, a_task
from tests.web.world import served


def _announcers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "announcer"]


@pytest.mark.slow
def test_twenty_calls_in_a_row_end_without_a_thread(plain_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    of_other_tests = _announcers()
    builders.a_user("ada", Role.ADMIN)
    monkeypatch.delenv("AIWORKER_TOKEN", raising=False)
    with served() as url:
        monkeypatch.setenv("AIWORKER_URL", url)
        left = []
        for _call in range(20):
            aiworker("task", "list")
            left += [thread for thread in _announcers() if thread not in of_other_tests]

    assert left == []


@pytest.mark.usefixtures("plain_app")
def test_what_was_announced_is_published_before_the_end() -> None:
    announcer = Announcer()

    for number in range(50):
        announcer.announce(Announcement(entries=[feed.Entry("wake", str(number))]))
    assert announcer.stop(PATIENCE_SECONDS)
    assert feed.client(timeout=60).xlen(feed.stream_name()) == 50

    announcer.announce(Announcement(entries=[feed.Entry("wake", "again")]))
    assert announcer.stop(PATIENCE_SECONDS)
    assert feed.client(timeout=60).xlen(feed.stream_name()) == 51


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirected", "code", "said"),
    [
        (">/dev/full", 1, "aiworker: can't write: No space left on device\n"),
        (">&-", 0, ""),
        ("<&- >&-", 0, ""),
        ("2>&-", 0, ""),
    ],
)
@pytest.mark.usefixtures("plain_app")
def test_an_output_that_takes_nothing_is_told_in_one_line(redirected: str, code: int, said: str) -> None:
    builders.a_user("ada", Role.ADMIN)

    ended = in_a_shell(f"user list {redirected}")

    assert (ended.returncode, ended.stderr) == (code, said)


@pytest.mark.slow
@pytest.mark.usefixtures("plain_app")
def test_a_backup_to_a_full_disk_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    builders.a_user("ada", Role.ADMIN)
    monkeypatch.setenv("AIWORKER_BACKUP_PASSPHRASE", "the passphrase of the tests")

    ended = in_a_shell("backup - >/dev/full")

    *progress, said = ended.stderr.splitlines()
    assert (ended.returncode, said) == (1, "aiworker: the backup can't be written: No space left on device")
    assert progress == ["database: done", "repositories: done"]


@pytest.mark.slow
@pytest.mark.usefixtures("plain_app")
def test_a_backup_in_a_pipe_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builders.a_user("ada", Role.ADMIN)
    monkeypatch.setenv("AIWORKER_BACKUP_PASSPHRASE", "the passphrase of the tests")
    assert in_a_shell(f"backup {tmp_path}/backup").returncode == 0

    ended = in_a_shell(f"restore --check <(cat {tmp_path}/backup)")

    assert ended.returncode == 1
    assert re.fullmatch(
        r"aiworker: /dev/fd/\d+ can be read only once, and a backup is read several times; save it to a file\n",
        ended.stderr,
    )


@pytest.mark.slow
@pytest.mark.usefixtures("plain_app")
def test_what_the_terminal_cannot_show_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    ada = builders.caller_of(builders.a_user("ada", Role.ADMIN))
    tokens.create_api_token(by=ada, name="Zoe \u2026 \U0001f600")
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")

    assert in_a_shell("token list").stdout.split("  ")[1] == "Zoe ? ?"
    # JSON has another way to write them.
    (listed,) = json.loads(in_a_shell("--json token list").stdout)["tokens"]
    assert listed["name"] == "Zoe \u2026 \U0001f600"


@pytest.mark.slow
@pytest.mark.usefixtures("plain_app")
def test_nobody_is_asked_where_there_is_no_input() -> None:
    builders.a_user("ada", Role.ADMIN)

    for command in ("user password ada", "backup -"):
        ended = in_a_shell(f"{command} <&- | cat >/dev/null; exit ${{PIPESTATUS[0]}}")
        assert ended.returncode == 1
        assert "aiworker: " in ended.stderr.splitlines()[-1]
        assert "Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.usefixtures("plain_app")
def test_an_input_that_is_not_of_its_encoding_is_told_in_one_line(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders.a_user("ada", Role.ADMIN)
    project = a_project("Shop")
    # As Python reads standard input in most locales.
    monkeypatch.setenv("PYTHONIOENCODING", f"{encoding}:strict")

    ended = in_a_shell("user password ada <<<$'caf\\xe9 and more'")
    assert (ended.returncode, ended.stderr) == (1, "aiworker: the password is not UTF-8\n")
    monkeypatch.setenv("AIWORKER_TOKEN", builders.a_token(builders.a_user("eve", Role.ADMIN)))
    with served() as url:
        monkeypatch.setenv("AIWORKER_URL", url)
        ended = in_a_shell(f"task add --project {project.id} --description - Coffee <<<$'caf\\xe9'")
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "400 description: " in ended.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("plain_app")
def test_who_waits_for_what_happens_ends_when_nobody_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although nothing happens, which it would fail to write."""
    monkeypatch.setenv("AIWORKER_TOKEN", builders.a_token(builders.a_user("ada", Role.ADMIN)))
    task = a_task(a_project("Shop"))
    a_live_run(task)
    with served() as url:
        monkeypatch.setenv("AIWORKER_URL", url)
        for words in ("watch", f"task watch {task.id}", f"task logs -f {task.id}"):
            reader = "head -1" if words.startswith("task watch") else "true"
            ended = in_a_shell(f"{words} | {reader}; exit ${{PIPESTATUS[0]}}")
            assert (words, ended.returncode, ended.stderr) == (words, 1, "")


def in_a_shell(words: str) -> subprocess.CompletedProcess[str]:
    """The command as bash starts it, with its redirections and Python's usual buffers."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["/bin/bash", "-c", f"{sys.executable} -m web.cli {words}"],
        env={**environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip
