"""The first container of a pod: from a source and a commit to a checkout and a script, or to a reason."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attacks.bombs import tree_bomb
from tests.providers.git_work_tree import git
from tests.providers.runtime_supervisor import ROOT, Repository

NOTHING_TO_RUN, CHECKOUT_FAILED, OVERLAY_FAILED = 20, 21, 22


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    place = tmp_path / "workspace"
    place.mkdir()
    return place


def launch(repository: Repository | str, commit: str, workspace: Path, *more: str) -> subprocess.CompletedProcess[str]:
    source = workspace.parent / "source"
    source.mkdir(exist_ok=True)
    url = repository if isinstance(repository, str) else f"file://{repository.path}"
    for name, text in {"url": url, "username": "aiworker", "password": "clone-password"}.items():
        (source / name).write_text(text)
    command = [sys.executable, "-P", "-m", "workers.checkouts.pod_start", "--commit", commit, "--source", str(source)]
    command += ["--workspace", str(workspace), *more]
    return subprocess.run(command, cwd=ROOT, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}, text=True,
                          capture_output=True, check=False)  # fmt: skip


def test_a_start_command_runs_in_the_checkout_of_that_commit(repository: Repository, workspace: Path) -> None:
    commit = repository.commit(says="the older")
    repository.commit(says="the newer")
    done = launch(repository, commit, workspace, "--start-command", 'cat says && echo "$0"')

    assert (done.returncode, done.stderr) == (0, "")
    ran = subprocess.run(["sh", workspace / "run"], cwd=workspace / "code", text=True, capture_output=True, check=True)
    assert ran.stdout.startswith("the older")


def test_a_procfile_says_what_to_run(repository: Repository, workspace: Path) -> None:
    commit = repository.commit(Procfile="worker: sleep 1\nweb:  echo from the Procfile \n", index__html="<h1>hi</h1>")

    assert launch(repository, commit, workspace).returncode == 0
    assert (workspace / "run").read_text() == "echo from the Procfile\n"


def test_a_website_is_served_by_the_platforms_own_server(repository: Repository, workspace: Path) -> None:
    assert launch(repository, repository.commit(index__html="<h1>hi</h1>"), workspace).returncode == 0
    assert str(workspace / "static.py") in (workspace / "run").read_text()
    assert (workspace / "static.py").read_bytes() == (ROOT / "workers" / "static_server.py").read_bytes()


def test_nothing_to_run_has_a_code_of_its_own(repository: Repository, workspace: Path) -> None:
    done = launch(repository, repository.commit(README="hello"), workspace)

    assert done.returncode == NOTHING_TO_RUN
    assert "set a start command" in done.stderr.splitlines()[-1]


def test_a_procfile_that_is_a_link_out_of_the_checkout_is_not_read(repository: Repository, workspace: Path) -> None:
    (repository.path / "Procfile").symlink_to("/proc/self/environ")

    assert launch(repository, repository.commit_all(), workspace).returncode == NOTHING_TO_RUN


def test_a_commit_of_endless_files_is_told_at_once(repository: Repository, workspace: Path) -> None:
    repository.commit(README="hello")
    bomb = tree_bomb(repository.path)
    git("branch", "bomb", bomb, at=repository.path)
    done = launch(repository, bomb, workspace)

    assert done.returncode == CHECKOUT_FAILED
    assert done.stderr.splitlines()[-1].startswith("too_large: ")


def test_a_commit_that_is_not_there_is_told_without_secrets(repository: Repository, workspace: Path) -> None:
    repository.commit(README="hello")
    done = launch(repository, "0" * 39 + "1", workspace)

    assert done.returncode == CHECKOUT_FAILED
    assert done.stderr.strip()
    assert "clone-password" not in done.stderr


def test_files_of_another_commit_and_other_texts_are_laid_over(repository: Repository, workspace: Path) -> None:
    (repository.path / "Makefile").write_text("check: tests\n")
    (repository.path / "package.json").write_text('{"scripts": {}}\n')
    below = repository.commit_all()
    (repository.path / "Makefile").write_text("check:;true\n")
    (repository.path / "GNUmakefile").write_text("check:;true\n")
    (repository.path / "package.json").write_text('{"scripts": {"test": "true"}}\n')
    commit = repository.commit_all()
    (workspace.parent / "source").mkdir()
    overlay = {"commit": below, "paths": ["Makefile"], "gone": ["GNUmakefile"]}
    texts = [{"path": "package.json", "text": "{}\n"}]
    (workspace.parent / "source" / "overlay").write_text(json.dumps({**overlay, "texts": texts}))

    done = launch(repository, commit, workspace, "--start-command", "true")

    assert (done.returncode, done.stderr) == (0, "")
    code = workspace / "code"
    assert (code / "Makefile").read_text() == "check: tests\n"
    assert (code / "package.json").read_text() == "{}\n"
    assert not (code / "GNUmakefile").exists()


@pytest.mark.parametrize("link", ["way/package.json", "package.json"])
def test_no_text_is_written_through_a_link(repository: Repository, workspace: Path, link: str) -> None:
    outside = workspace.parent / "outside"
    outside.mkdir()
    (outside / "package.json").write_text("mine\n")
    (repository.path / link.split("/")[0]).symlink_to(outside if "/" in link else outside / "package.json")
    commit = repository.commit_all()
    (workspace.parent / "source").mkdir()
    overlay = {"commit": commit, "paths": [], "gone": [], "texts": [{"path": link, "text": "theirs\n"}]}
    (workspace.parent / "source" / "overlay").write_text(json.dumps(overlay))

    done = launch(repository, commit, workspace, "--start-command", "true")

    assert (done.returncode, (outside / "package.json").read_text()) == (OVERLAY_FAILED, "mine\n")
    assert "a file can't be replaced" in done.stderr
