"""A backup is one consistent moment of a platform that is in use, in one private file."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from common.errors import Misconfigured, ProviderUnavailable
from common.models import Job, Mark
from common.providers.forge import BareForge
from common.providers.forge.local import repository_copies
from common.settings import settings
from common.transaction import Transaction, snapshot, transactional
from tests.providers.git_work_tree import git
from tests.servers import ROOT
from tests.web.launcher.backups import (
    PASSPHRASE,
    SHOP,
    SIGNALS,
    Use,
    backed_up,
    filled,
    restored,
    secrets,
    signalling,
)
from web.cli import main
from web.launcher.backup.making import write_backup


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_it_is_one_moment_while_everything_runs(
    request: pytest.FixtureRequest, use: Use, tmp_path: Path, kind: str
) -> None:
    """A writer moves a branch, and then records it: every record's commit is there, and at most one more commit."""
    repository = filled(use("old", request.getfixturevalue(f"{kind}_database_url"))) / "repositories/aiworker/shop.git"
    stop, recorded = threading.Event(), threading.Event()

    def write() -> None:
        sha, tree = git("rev-parse", "main", at=repository), git("rev-parse", "main^{tree}", at=repository)
        for number in range(10_000):
            sha = git("commit-tree", tree, "-p", sha, "-m", str(number), at=repository)
            git("update-ref", "refs/heads/main", sha, at=repository)
            record(f"commit-{number}", sha)
            if number == 2:
                recorded.set()
            if stop.is_set():
                return

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        try:
            while not recorded.wait(0.05):
                assert not writer.done() or writer.result()
            backed_up(tmp_path / "backup")
        finally:
            stop.set()
        writer.result()

    new = use("new")
    restored(tmp_path / "backup")
    with snapshot() as now:
        named = {mark.value["sha"] for mark in now.all(select(Mark)) if "sha" in mark.value}
    assert len(named) >= 3
    there = set(git("rev-list", "main", at=new / "repositories/aiworker/shop.git").split())
    assert named <= there
    assert len(there - named) <= 2  # the repository's first commit, and one that is not recorded yet


@transactional
def record(tx: Transaction, name: str, sha: str) -> None:
    """As a job does it: with its row locked."""
    tx.session.execute(select(Job.id).where(Job.live_key.is_not(None)).with_for_update()).all()
    tx.add(Mark(name=name, at=tx.now(), value={"sha": sha}))


def test_a_repository_that_is_removed_meanwhile_ends_the_backup(old: Path) -> None:
    (pinned,) = repository_copies.pin(old / "repositories")
    BareForge(old / "repositories", public_url="", internal_url="", import_allow=()).delete_repository(SHOP)

    with pytest.raises(ProviderUnavailable, match="removed meanwhile"):
        list(repository_copies.object_files(pinned))
    assert repository_copies.pin(old / "repositories") == []


def test_the_file_is_private_and_replaces_none(old: Path, tmp_path: Path) -> None:
    backed_up(tmp_path / "backup")

    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o600
    with pytest.raises(Misconfigured, match="exists"):
        backed_up(tmp_path / "backup")
    with pytest.raises(Misconfigured, match="No such file"):
        backed_up(tmp_path / "nowhere" / "backup")
    # Long words: short ones stand in random bytes by chance.
    content = (tmp_path / "backup").read_bytes()
    assert not any(word in content for word in (b"password_hash", b"repositories", b"secret_key"))
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == ["backup"]


@pytest.mark.usefixtures("_no_signal_is_ignored")
@pytest.mark.parametrize("number", SIGNALS)
def test_a_backup_that_a_signal_ends_leaves_no_file(old: Path, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "kept").mkdir()

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        write_backup(tmp_path / "kept" / "new", PASSPHRASE, settings(), signalling(number, at="database"))

    assert list((tmp_path / "kept").iterdir()) == []


@pytest.mark.slow
def test_the_commands_say_what_they_do(
    use: Use, old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def aiworker(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["aiworker", *words])
        with pytest.raises(SystemExit) as ended:
            main.main()
        said = capsys.readouterr()
        assert not ended.value.code, said.err
        return said.out

    (tmp_path / "passphrase").write_text(f"{PASSPHRASE}\n")
    monkeypatch.setenv("AIWORKER_BACKUP_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    file = str(tmp_path / "backup")

    assert re.search(rf"The backup is in {file}: [\d,]+ rows, 1 repository, [\d.]+ MiB", aiworker("backup", file))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AIWORKER_BACKUP_PASSPHRASE_FILE": "/dev/stdin"}
    piped = [sys.executable, "-m", "web.cli", "backup", "-"]
    content = subprocess.run(piped, env=environment, input=PASSPHRASE.encode(), capture_output=True, check=True).stdout
    assert content.startswith(b"AIWORKER-BACKUP\n")
    (tmp_path / "piped").write_bytes(content)
    assert "The backup is whole" in aiworker("restore", "--check", str(tmp_path / "piped"))
    use("new")
    assert "The backup is whole" in aiworker("restore", "--check", file)
    assert not (tmp_path / "new").exists()
    not_text = {**os.environ, "AIWORKER_BACKUP_PASSPHRASE": os.fsdecode(b"\xff" * 9), "PYTHONPATH": str(ROOT)}
    refused = subprocess.run([*piped[:3], "restore", file], env=not_text, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr.splitlines()[1:]) == (1, ["aiworker: the passphrase is not UTF-8"])
    assert json.loads(aiworker("--json", "restore", file).splitlines()[-1])["backup"]["repositories"] == 1
    assert secrets() == {"KEY": "a secret value"}


def forge(data_dir: Path) -> BareForge:
    return BareForge(data_dir / "repositories", public_url="", internal_url="", import_allow=())
