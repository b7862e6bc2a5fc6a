"""A platform with something in it, to be backed up and restored, and what tests look at afterwards."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import select

from common.models import Attachment, Project, RunSession
from common.providers.forge import BareForge
from common.secrets.sealing import unseal
from common.services.tasks.attachments import MOST_BYTES, NewFile, add_attachment
from common.services.upkeep import portable_rows
from common.settings import settings
from common.settings.platform_address import read_platform_address
from common.transaction import Transaction, snapshot, transactional
from common.values.repository import Repository
from tests import builders
from tests.web.factories import a_project, a_task, somebody
from web.launcher.backup.making import Contents, Progress, write_backup
from web.launcher.backup.restoring import restore_backup

PASSPHRASE = "the passphrase of the tests"
SHOP = Repository("aiworker", "shop", "project-1")
Use = Callable[..., Path]
SIGNALS = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)


def no_progress(what: str, done: int, total: int) -> None:
    assert 0 <= done <= total, what


def filled(data_dir: Path, *, has_sessions: bool = False) -> Path:
    """has_sessions: some MiB of them, and the largest attachment that there may be."""
    builders.a_user("ada")
    shop = a_project(secret_env_vars={"KEY": "a secret value"}, env_vars={"PLAIN": "ñ 👩‍💻"})
    joined = a_task(shop, "Joined 👩‍💻")
    add_bytes(joined.id, parts=3 if has_sessions else 0)
    if has_sessions:
        largest = NewFile("largest.bin", "", bytes(range(256)) * (MOST_BYTES // 256))
        add_attachment(joined.id, largest, by=somebody())
    forge = BareForge(settings().forge.repositories_dir, public_url="", internal_url="", import_allow=())
    forge.ensure_repository(SHOP, default_branch="main", description="", import_url=None)
    app = settings().runtime.supervisor_dir / "apps" / "shop" / "production"
    app.mkdir(parents=True)
    (app / "app.json").write_text('{"port": 4711}')
    (app / "versions").mkdir()
    return data_dir


@transactional
def add_bytes(tx: Transaction, task_id: str, *, parts: int) -> None:
    whole = bytes(range(256)) * 8_000
    for part in range(parts):
        tx.add(RunSession(task_id=task_id, part=part, run_id="r", driver=None, archive=whole, saved_at=tx.now()))
    tx.add(
        Attachment(
            task_id=task_id, name="a.bin", media_type="image/png", size_bytes=3, content=b"\0\xff'", added_by="ada",
            added_at=tx.now(),
        )
    )  # fmt: skip


def all_rows() -> dict[str, list[str]]:
    with portable_rows.reading_at_one_moment(lambda: None) as parts_of:
        return {
            name: sorted(json.dumps(row) for part in parts_of(name) for row in part.rows)
            for name in portable_rows.table_names()
        }


def secrets() -> Any:
    with snapshot() as now:
        return unseal(now.session.scalars(select(Project.secret_env_sealed)).one() or "")


def backed_up(to: Path) -> Contents:
    return write_backup(to, PASSPHRASE, settings(), no_progress)


def restored(
    file: Path, *, replaces: bool = False, passphrase: str = PASSPHRASE, progress: Progress = no_progress
) -> Path | None:
    """What `aiworker restore` does, in the platform of this process. Returns where the earlier data is."""
    with file.open("rb") as source:
        return restore_backup(source, passphrase, read_platform_address(), progress, replaces=replaces)[1]


def signalling(number: signal.Signals, *, at: str) -> Progress:
    """Sends the signal to this process, and once more, when the work is there."""

    def progress(what: str, done: int, total: int) -> None:
        if what == at:
            try:
                os.kill(os.getpid(), number)
            finally:
                os.kill(os.getpid(), number)

    return progress
