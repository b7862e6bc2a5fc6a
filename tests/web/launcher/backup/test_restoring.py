"""A backup goes back whole, or not at all."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect

from common.database import engines
from common.errors import Misconfigured
from common.models import Mark
from common.services.upkeep import schema
from common.settings import settings
from common.settings.private_files import require_restored
from common.transaction import Transaction, transactional
from tests import builders
from tests.providers.git_work_tree import git
from tests.servers import ROOT, MariaDB
from tests.web.launcher.backups import (
    PASSPHRASE,
    SHOP,
    Use,
    all_rows,
    backed_up,
    filled,
    restored,
    secrets,
    signalling,
)
from web.launcher.backup import backup_file
from web.launcher.prerequisites import own_directory

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kinds", ["sqlite-sqlite", "mariadb-mariadb"])
def test_a_restored_platform_has_everything(
    request: pytest.FixtureRequest, use: Use, tmp_path: Path, kinds: str
) -> None:
    source, target = kinds.split("-")
    old = filled(use("old", request.getfixturevalue(f"{source}_database_url")), has_sessions=True)
    before, key = all_rows(), settings().security.secret_key
    contents = backed_up(tmp_path / "backup")
    server: MariaDB | None = request.getfixturevalue("mariadb") if target == "mariadb" else None

    new = use("new", server.new_database() if server else None)
    assert restored(tmp_path / "backup") is None

    assert all_rows() == before
    assert contents.rows == sum(map(len, before.values()))
    assert schema.is_current()
    assert settings().security.secret_key == key
    assert secrets() == {"KEY": "a secret value"}
    inside = "repositories/aiworker/shop.git"
    assert git("rev-parse", "main", at=new / inside) == git("rev-parse", "main", at=old / inside)
    assert (new / inside / "aiworker" / "project_id").read_text() == SHOP.project_id
    assert (new / "runtime/apps/shop/production/app.json").read_text() == '{"port": 4711}'
    assert not (new / "runtime/apps/shop/production/versions").exists()
    assert [path for path in new.rglob("*") if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


def test_a_bad_file_or_passphrase_writes_nothing(
    use: Use, old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backup"
    backed_up(file)
    whole = file.read_bytes()
    header_end = whole.index(b"\n", 20) + 1
    flipped = bytearray(whole)
    flipped[-100] ^= 1
    bad = {
        "is damaged": bytes(flipped),
        "is cut": whole[:-50],
        "no backup of AiWorker": b"PK" + whole,
        "format 2 of version": whole.replace(b'"format": 1', b'"format": 2'),
        "schema of a newer version": resealed(file, schema="9999"),
    }
    use("new")
    for reason, content in bad.items():
        file.write_bytes(content)
        with pytest.raises(Misconfigured, match=reason):
            restored(file)
    # Whole chunks are missing, or one stands at the end twice.
    chunk = whole[header_end:]
    for content in (whole[:header_end], whole + chunk[:40]):
        file.write_bytes(content)
        with pytest.raises(Misconfigured, match=r"cut|damaged"):
            restored(file)
    file.write_bytes(whole)
    with pytest.raises(Misconfigured, match="not the one of this backup"):
        restored(file, passphrase="another passphrase")
    monkeypatch.setenv("AIWORKER_SECRET_KEY", "another key of at least 32 characters")
    with pytest.raises(Misconfigured, match="AIWORKER_SECRET_KEY is not the key"):
        restored(file)

    assert not (tmp_path / "new").exists()


def resealed(file: Path, **changes: str) -> bytes:
    """The backup as somebody with the passphrase could have written it with another heading."""
    with file.open("rb") as source:
        reader = backup_file.BackupReader(source, PASSPHRASE)
        heading = backup_file.Heading(**{**vars(reader.heading), **changes})
        to = file.with_name("resealed")
        with to.open("wb") as target:
            writer = backup_file.BackupWriter(target, heading, PASSPHRASE)
            while content := reader.read(2**20):
                writer.write(content)
            writer.close()
    return to.read_bytes()


def test_existing_data_is_replaced_only_when_told(use: Use, old: Path, tmp_path: Path) -> None:
    backed_up(tmp_path / "backup")
    new = use("new")
    schema.upgrade()
    builders.a_user("nobody-else")
    (new / "drivers").mkdir()
    before = all_rows()
    engines.dispose_engines()

    with pytest.raises(Misconfigured, match="there is data already"):
        restored(tmp_path / "backup")
    assert all_rows() == before
    engines.dispose_engines()

    with own_directory(new), pytest.raises(Misconfigured, match="in use by process"):
        restored(tmp_path / "backup", replaces=True)
    aside = restored(tmp_path / "backup", replaces=True)

    assert secrets() == {"KEY": "a secret value"}
    assert aside is not None
    assert {"aiworker.db", "secret_key"} <= {path.name for path in aside.iterdir()}
    assert (new / "drivers").is_dir()


def test_a_servers_tables_are_replaced_only_when_told(use: Use, old: Path, tmp_path: Path, mariadb: MariaDB) -> None:
    before = all_rows()
    backed_up(tmp_path / "backup")
    new = use("new", mariadb.new_database())
    schema.upgrade()
    shutil.rmtree(new)

    with pytest.raises(Misconfigured, match="the database is not empty"):
        restored(tmp_path / "backup")
    sweep(0)
    with pytest.raises(Misconfigured, match="a platform used this database"):
        restored(tmp_path / "backup", replaces=True)
    sweep(120)
    execute("create table of_another_program (id int)")
    with pytest.raises(Misconfigured, match="something else, such as of_another_program"):
        restored(tmp_path / "backup", replaces=True)
    execute("drop table of_another_program")
    shutil.rmtree(new)
    restored(tmp_path / "backup", replaces=True)

    assert all_rows() == before


@transactional
def sweep(tx: Transaction, seconds_ago: float) -> None:
    tx.session.merge(Mark(name="sweep", at=tx.now() - timedelta(seconds=seconds_ago), value={}))


def execute(statement: str) -> None:
    with engines.engine().connect() as connection:
        connection.exec_driver_sql(statement)


def test_a_restore_that_fails_puts_everything_back(use: Use, old: Path, tmp_path: Path) -> None:
    """A repository lacks an object, which only shows once it is unpacked."""
    repository = old / "repositories/aiworker/shop.git"
    tree = git("rev-parse", "main^{tree}", at=repository)
    (repository / "objects" / tree[:2] / tree[2:]).unlink()
    backed_up(tmp_path / "backup")
    new = use("new")
    with pytest.raises(Misconfigured, match="repository of the backup is not whole"):
        restored(tmp_path / "backup")
    assert not new.exists()

    schema.upgrade()
    builders.a_user("nobody-else")
    before, key = all_rows(), (new / "secret_key").read_bytes()
    with pytest.raises(Misconfigured, match="repository of the backup is not whole"):
        restored(tmp_path / "backup", replaces=True)

    assert all_rows() == before
    assert (new / "secret_key").read_bytes() == key
    assert not list(new.glob("replaced-*"))


@pytest.mark.usefixtures("_no_signal_is_ignored")
def test_a_restore_that_a_signal_ends_puts_everything_back(use: Use, old: Path, tmp_path: Path) -> None:
    backed_up(tmp_path / "backup")
    new = use("new")
    schema.upgrade()
    builders.a_user("nobody-else")
    before = all_rows()
    engines.dispose_engines()

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        restored(tmp_path / "backup", replaces=True, progress=signalling(signal.SIGTERM, at="filling the database"))

    assert all_rows() == before
    assert not list(new.glob("replaced-*"))
    require_restored(new)
    assert restored(tmp_path / "backup", replaces=True) is not None


def test_nothing_starts_on_what_a_killed_restore_left(
    use: Use, old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backed_up(tmp_path / "backup")
    new = use("new")
    schema.upgrade()
    engines.dispose_engines()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    killed = subprocess.run([sys.executable, "-c", KILLED_RESTORE, tmp_path / "backup"], check=False)
    assert killed.returncode == -signal.SIGKILL

    for words in (["backup", tmp_path / "another"], ["up"]):
        refused = subprocess.run(
            [sys.executable, "-m", "web.cli", *words], input="", capture_output=True, text=True, check=False
        )
        assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
        assert f"a restore into {new} is going on, or did not end; repeat it" in refused.stderr
    with pytest.raises(Misconfigured, match="there is data already"):
        restored(tmp_path / "backup")
    restored(tmp_path / "backup", replaces=True)

    assert secrets() == {"KEY": "a secret value"}
    require_restored(new)


KILLED_RESTORE = """
import signal, sys
from pathlib import Path
from tests.web.launcher.backups import restored, signalling
restored(Path(sys.argv[1]), replaces=True, progress=signalling(signal.SIGKILL, at="filling the database"))
"""


def test_an_older_backup_is_upgraded(use: Use, old: Path, tmp_path: Path) -> None:
    backed_up(tmp_path / "backup")
    use("older")
    schema.upgrade("0013")
    with engines.engine(reads=True).connect() as connection:
        known = {name: {column["name"] for column in inspect(connection).get_columns(name)}
                 for name in inspect(connection).get_table_names()}  # fmt: skip
    as_of_0013(tmp_path / "backup", known)

    use("new")
    restored(tmp_path / "backup")

    assert schema.is_current()
    assert secrets() == {"KEY": "a secret value"}
    assert "platform_settings" not in known


def as_of_0013(file: Path, known: dict[str, set[str]]) -> None:
    """Make it the backup that an older version would have written: without what its schema did not have, and with the
    column of it that is gone."""
    packed, rows = io.BytesIO(), {}
    with file.open("rb") as source:
        heading = backup_file.Heading(**{**vars(backup_file.read_heading(source)), "schema": "0013"})
        reader: Any = backup_file.BackupReader(source, PASSPHRASE)
        with tarfile.open(fileobj=reader, mode="r|") as old, tarfile.open(fileobj=packed, mode="w") as new:
            for member in old:
                content = old.extractfile(member).read()  # type: ignore[union-attr]
                top, *rest = member.name.split("/")
                if top == "tables":
                    if rest[0] not in known:
                        continue
                    part = json.loads(gzip.decompress(content))
                    kept = [at for at, (name, _kind) in enumerate(part["columns"]) if name in known[rest[0]]]
                    part["columns"] = [part["columns"][at] for at in kept]
                    part["rows"] = [[row[at] for at in kept] for row in part["rows"]]
                    if rest[0] == "projects":
                        part["columns"].append(["keep_tests", "flag"])
                        part["rows"] = [[*row, True] for row in part["rows"]]
                    rows[rest[0]] = rows.get(rest[0], 0) + len(part["rows"])
                    content = gzip.compress(json.dumps(part).encode())
                elif top == "manifest.json":
                    content = json.dumps({**json.loads(content), "rows": rows}).encode()
                member.size = len(content)
                new.addfile(member, io.BytesIO(content))
    with file.open("wb") as target:
        writer = backup_file.BackupWriter(target, heading, PASSPHRASE)
        writer.write(packed.getvalue())
        writer.close()
