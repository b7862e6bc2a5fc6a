"""The data directory is one user's alone, also one that an earlier version left open; its key is whole or refused."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import Misconfigured
from common.settings import from_env
from tests import builders
from tests.servers import ROOT

READ = "import common.settings, os; common.settings.settings(); print(oct(os.umask(0)))"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("key", [b"", b" " * 64, b"31 bytes are one less than enou"])
def test_a_short_key_is_refused(tmp_path: Path, key: bytes) -> None:
    (tmp_path / "secret_key").write_bytes(key)
    with pytest.raises(Misconfigured, match=f"the secret key in {tmp_path / 'secret_key'} has"):
        from_env({"AIWORKER_DATA_DIR": str(tmp_path)})

    environ = {"AIWORKER_DATA_DIR": str(tmp_path / "data"), "AIWORKER_SECRET_KEY_FILE": str(tmp_path / "secret_key")}
    with pytest.raises(Misconfigured, match="AIWORKER_SECRET_KEY"):
        from_env(environ)


def test_what_an_earlier_version_left_open_is_closed_by_any_process(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    (data_dir / "repositories" / "shop").mkdir(parents=True)
    (data_dir / "repositories" / "shop" / "hook").touch()
    (data_dir / "repositories" / "shop" / "hook").chmod(0o755)
    for name in ("aiworker.db", "aiworker.db-wal", "secret_key"):
        (data_dir / name).write_text("k" * 64)
        (data_dir / name).chmod(0o644)
    (data_dir / "repositories").chmod(0o755)
    data_dir.chmod(0o755)
    outside = tmp_path / "elsewhere.db"
    outside.touch()
    outside.chmod(0o644)

    read = subprocess.run(
        [sys.executable, "-c", READ],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "AIWORKER_DATA_DIR": str(data_dir),
            "AIWORKER_DATABASE_URL": f"sqlite:///{outside}",
        },
        capture_output=True,
        text=True,
        check=True,
    )

    assert read.stdout.strip() == "0o77"
    assert [mode(data_dir), mode(data_dir / "repositories")] == [0o700, 0o700]
    assert {mode(data_dir / name) for name in ("aiworker.db", "aiworker.db-wal", "secret_key")} == {0o600}
    assert mode(outside) == 0o600
    assert mode(data_dir / "repositories" / "shop" / "hook") == 0o755


def test_what_belongs_to_another_user_is_refused(tmp_path: Path) -> None:
    data_dir = Path("/usr")
    if os.geteuid() == 0:
        data_dir = tmp_path
        (data_dir / "secret_key").write_text("k" * 64)
        os.chown(data_dir / "secret_key", 12345, -1)

    environment = {"PATH": os.environ["PATH"], "AIWORKER_DATA_DIR": str(data_dir)}
    command = [sys.executable, "-m", "web.cli", "db", "status"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "belongs to another user" in ended.stderr


def test_a_lost_key_is_not_replaced(tmp_path: Path, on_database: str) -> None:
    data_dir = tmp_path / "data"
    environ = {"AIWORKER_DATA_DIR": str(data_dir), "AIWORKER_DATABASE_URL": on_database}
    first = from_env(environ).security.secret_key
    (data_dir / "secret_key").rename(tmp_path / "kept")
    # Nobody has used the database yet: nothing is lost.
    assert from_env(environ).security.secret_key != first
    builders.a_user("ada")
    (data_dir / "secret_key").unlink()

    with pytest.raises(Misconfigured, match=f"the secret key {data_dir / 'secret_key'} is missing") as refused:
        from_env(environ)
    assert "docs/troubleshooting.md" in str(refused.value)
    assert not (data_dir / "secret_key").exists()
    (tmp_path / "kept").rename(data_dir / "secret_key")
    assert from_env(environ).security.secret_key == first


def test_no_key_is_made_for_a_database_that_can_not_be_asked(tmp_path: Path) -> None:
    (tmp_path / "aiworker.db").write_text("no database, but it may have been one" * 100)

    for url in (f"sqlite:///{tmp_path / 'aiworker.db'}", "mysql://aiworker:hidden-word@127.0.0.1:1/aiworker"):
        with pytest.raises(Misconfigured, match=r"can't be used: .*; check AIWORKER_DATABASE_URL") as refused:
            from_env({"AIWORKER_DATA_DIR": str(tmp_path), "AIWORKER_DATABASE_URL": url})
        assert "hidden-word" not in str(refused.value)
    assert not (tmp_path / "secret_key").exists()
