"""What git says of a run's clone before anybody has changed it: that nothing is, and its whole message."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.values.claimed_run import Clone
from tests.workers.runner.places import confinement
from tests.workers.runner.runner_platform import git, make_repository
from workers.runner.cancellation import Cancellation
from workers.runner.workspace import Workspace


@pytest.mark.parametrize("rules", [".gitattributes", "scripts/.gitattributes"])
def test_files_that_the_attributes_would_change_are_changed_by_their_driver_alone(tmp_path: Path, rules: str) -> None:
    """As a script that was committed with CR LF before there was a rule for line ends."""
    repository = make_repository(tmp_path / "forge")
    work = repository.parent / "work"
    git("checkout", "--quiet", "task-1", cwd=work)
    (work / "scripts").mkdir()
    (work / "scripts" / "run.bat").write_bytes(b"echo\r\n")
    git("add", ".", cwd=work)
    (work / rules).write_text("*.bat text eol=crlf\n")
    git("add", rules, cwd=work)
    git("commit", "--quiet", "--message", "Rule", cwd=work)
    git("push", "--quiet", str(repository), "task-1", cwd=work)
    run = tmp_path / "run"
    workspace = Workspace(run, Clone(str(repository), "task-1", "main"), Cancellation(), confinement(run))
    workspace.clone()

    assert workspace.commit_all("Nothing") is None
    # Of the same length, in the same moment.
    (workspace.path / "app.txt").write_text("two one\n")
    workspace.push(workspace.commit_all("Turn it round"))
    assert git("diff", "--name-only", "task-1~", "task-1", cwd=repository) == "app.txt"
    (workspace.path / "scripts" / "run.bat").write_bytes(b"exit\r\n")
    workspace.push(workspace.commit_all("End it"))
    assert git("show", "task-1:scripts/run.bat", cwd=repository) == "exit"


def test_a_message_of_very_many_lines_keeps_no_run_from_starting(tmp_path: Path) -> None:
    repository, run = make_repository(tmp_path / "forge"), tmp_path / "run"
    workspace = Workspace(run, Clone(str(repository), "task-1", "main"), Cancellation(), confinement(run))
    workspace.clone()
    (tmp_path / "message").write_text("Import\n\n" + "".join(f"line {number}\n" for number in range(12_000)))
    git("commit", "--quiet", "--allow-empty", "-F", str(tmp_path / "message"), cwd=workspace.path)

    commit, message = workspace.head_and_message()

    assert commit == git("rev-parse", "HEAD", cwd=workspace.path)
    assert message.splitlines()[-1] == "line 11999"
    assert workspace.commit_all("Nothing to add") is None
