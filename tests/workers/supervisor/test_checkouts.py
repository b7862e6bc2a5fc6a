"""A checkout of a hostile repository runs nothing of it, and changes nothing outside of itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from common.values.repository import Source
from tests.providers.runtime_supervisor import Repository
from workers.supervisor.checkout import Checkouts


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that a command of the repository would make."""
    return tmp_path / "ran"


@pytest.fixture
def repository(tmp_path: Path, mark: Path) -> Repository:
    made = Repository(tmp_path / "repository")
    run = f"touch {mark}"
    config = f'[filter "evil"]\n\tsmudge = {run}\n\tclean = {run}\n\trequired = true\n[core]\n\tfsmonitor = {run}\n'
    (made.path / ".gitconfig").write_text(config)
    (made.path / "config").write_text(config)
    (made.path / ".gitmodules").write_text(
        f'[submodule "m"]\n\tpath = m\n\turl = ext::sh -c "{run}"\n\tupdate = !{run}\n'
    )
    (made.path / "hooks").mkdir()
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        (made.path / "hooks" / hook).write_text(f"#!/bin/sh\n{run}\n")
        (made.path / "hooks" / hook).chmod(0o755)
    (made.path / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    (made.path / "page.txt").write_text("hello")
    return made


def check_out(tmp_path: Path, repository: Repository, commit: str) -> Path:
    code = tmp_path / "runtime" / "code"
    code.parent.mkdir(exist_ok=True)
    checkouts = Checkouts(tmp_path / "mirrors")
    asyncio.run(checkouts.make("project-1", Source(str(repository.path)), commit, code))
    return code


def test_no_filter_hook_or_submodule_of_it_is_run(tmp_path: Path, repository: Repository, mark: Path) -> None:
    code = check_out(tmp_path, repository, repository.commit_all())

    assert (code / "page.txt").read_text() == "hello"
    assert (code / ".gitattributes").exists()
    assert not list((code / ".git").glob("hooks/*"))
    assert not mark.exists()


def test_nothing_is_written_through_a_link_of_it(tmp_path: Path, repository: Repository, mark: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (repository.path / "way").symlink_to(outside)
    code = check_out(tmp_path, repository, repository.commit_all())

    assert (code / "way").is_symlink()
    assert not list(outside.iterdir())


def test_files_are_as_they_were_committed_whatever_its_attributes_say(
    tmp_path: Path, repository: Repository, mark: Path
) -> None:
    attributes = "* working-tree-encoding=UTF-7 ident"
    committed = "exit $1 # $Id$\n"
    (repository.path / "check.sh").write_text(committed)
    (repository.path / "in").mkdir()
    (repository.path / "in" / "check.sh").write_text(committed)
    repository.commit_all()
    (repository.path / ".gitattributes").write_text(f"{attributes}\n")
    code = check_out(tmp_path, repository, repository.commit_all())

    assert (code / ".gitattributes").read_text() == f"{attributes}\n"
    assert [(code / folder / "check.sh").read_text() for folder in (".", "in")] == [committed, committed]
