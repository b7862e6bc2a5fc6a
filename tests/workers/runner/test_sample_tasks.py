"""The sample's tasks, done by the scripted driver in a clone of the sample's repository."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from common.values.claimed_run import ClaimedTask, Clone
from common.values.starters import SAMPLE, STARTERS
from tests.providers.git_tree import git
from tests.workers.runner.places import confinement
from tests.workers.runner.runner_platform import make_repository
from tests.workers.runner.test_scripted import Listener
from workers.runner.cancellation import Cancellation
from workers.runner.drivers import driver_named
from workers.runner.drivers.protocol import OutcomeKind, Session
from workers.runner.workspace import Workspace

SOUP, HOURS, COLOURS = STARTERS[SAMPLE].tasks

Commit = Callable[[str], None]


@pytest.fixture
def listener() -> Listener:
    return Listener(answers={"Which colours should the page have?": "Warm"})


@pytest.fixture
def session(tmp_path: Path, listener: Listener) -> Session:
    repository, cancellation = make_repository(tmp_path / "forge"), Cancellation()
    clone = Clone(str(repository), "task-1", "main")
    workspace = Workspace(tmp_path / "run", clone, cancellation, confinement(tmp_path / "run"))
    workspace.clone()
    for name, text in STARTERS[SAMPLE].files.items():
        (workspace.path / name).write_text(text)
    return Session(
        run_id="r", round=1, task=ClaimedTask("t", "Do it", ""), prompt="", feedback=(), workspace=workspace.path,
        session_dir=workspace.session_dir, saved=None, head_sha=workspace.head(), is_repeated=False,
        environ=workspace.environ, place=workspace.place(), cancellation=cancellation, platform=listener,
    )  # fmt: skip


@pytest.fixture
def commit(session: Session) -> Commit:
    def commit(title: str) -> None:
        git("-C", str(session.workspace), "add", "-A")
        git("-C", str(session.workspace), "commit", "-q", "-m", title)

    return commit


def do(session: Session, description: str) -> None:
    outcome = driver_named("scripted").work(replace(session, task=replace(session.task, description=description)))
    assert outcome.kind is OutcomeKind.COMPLETED, outcome.reason


def test_the_conflict_is_solved_in_its_second_round(session: Session, commit: Commit) -> None:
    at = ("-C", str(session.workspace))
    commit("Start")
    git(*at, "branch", "-f", "start")
    do(session, SOUP.description)
    commit("Soup")
    git(*at, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(*at, "reset", "-q", "--hard", "start")
    do(session, HOURS.description)
    commit("Hours")

    do(replace(session, round=2), HOURS.description)

    news = (session.workspace / "news.txt").read_text().splitlines()
    assert set(news) >= {"Soup of the day: pumpkin.", "Winter hours: nine to four."}
    assert {path.name for path in session.workspace.glob("test_*.py")} == {
        "test_page.py",
        "test_soup.py",
        "test_hours.py",
    }
