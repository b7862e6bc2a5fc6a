"""Commands and sessions: bounds, exit codes, and archives from strangers."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from workers.runner.drivers.protocol import SavedSession
from workers.runner.processes.cancellation import Cancellation, Cancelled, Why
from workers.runner.processes.commands import TimedOut, run_command
from workers.runner.programs import sessions


def run(command: str, cwd: Path, *, timeout_seconds: float | None = None) -> tuple[int, list[str]]:
    lines: list[str] = []
    code = run_command(
        ["/bin/sh", "-c", command], cwd=cwd, environ={"PATH": os.environ["PATH"], "HOME": str(cwd)},
        command_sandbox=None,        cancellation=Cancellation(), on_line=lines.append, timeout_seconds=timeout_seconds,
    )  # fmt: skip
    return code, lines


@pytest.mark.slow
def test_a_command_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    with pytest.raises(TimedOut):
        run("sleep 300", tmp_path, timeout_seconds=0.1)
    with pytest.raises(TimedOut):
        run("yes", tmp_path, timeout_seconds=0.1)


def test_nothing_is_started_after_cancelling_and_the_first_reason_stays(tmp_path: Path) -> None:
    cancellation = Cancellation()
    cancellation.cancel(Why.LIMIT, "Too long")
    cancellation.cancel(Why.CANCELLED, "Later")
    with pytest.raises(Cancelled, match="Too long"):
        run_command(
            ["/bin/sh", "-c", f"touch {tmp_path}/ran"], cwd=tmp_path, environ={}, command_sandbox=None,
            cancellation=cancellation, on_line=lambda line: None,
        )  # fmt: skip
    assert not (tmp_path / "ran").exists()
    assert cancellation.why is Why.LIMIT


def test_a_session_comes_back_as_it_was_packed(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "log.jsonl").write_text("{}")
    (source / "large").write_bytes(b"0123456789abcdef" * 2**18)
    (source / "link").symlink_to("/etc/passwd")
    target.mkdir()
    archive = sessions.pack(source, driver="scripted", round_number=3, head_sha="a" * 40)

    assert sessions.unpack(archive, target, driver="another") is None
    assert list(target.iterdir()) == []
    assert sessions.unpack(archive, target, driver="scripted") == SavedSession(3, "a" * 40)
    assert (target / "deep" / "log.jsonl").read_text() == "{}"
    assert (target / "large").read_bytes() == b"0123456789abcdef" * 2**18
    assert not (target / "link").exists()


def test_a_session_replaces_what_the_setup_left_and_follows_no_link(tmp_path: Path) -> None:
    """Opening a pipe for writing would wait for ever, and the runner is not confined."""
    source, target, outside = tmp_path / "source", tmp_path / "target", tmp_path / "outside"
    for folder in (source / "deep", target / "deep", outside):
        folder.mkdir(parents=True)
    for name in ("pipe", "link", "file"):
        (source / "deep" / name).write_text("of the session")
        os.utime(source / "deep" / name, (1_000_000_000, 1_000_000_000))
    archive = sessions.pack(source, driver="scripted", round_number=3, head_sha="a" * 40)
    os.mkfifo(target / "deep" / "pipe")
    (outside / "kept").write_text("kept")
    (target / "deep" / "link").symlink_to(outside / "kept")
    (target / "deep" / "file").write_text("of the setup")

    assert sessions.unpack(archive, target, driver="scripted") == SavedSession(3, "a" * 40)
    assert {path.name: path.read_text() for path in (target / "deep").iterdir()} == dict.fromkeys(
        ("pipe", "link", "file"), "of the session"
    )
    assert (target / "deep" / "file").stat().st_mtime == 1_000_000_000
    assert (outside / "kept").read_text() == "kept"

    (target / "deep").rename(target / "before")
    (target / "deep").symlink_to(outside)
    assert sessions.unpack(archive, target, driver="scripted") is None
    assert [path.name for path in outside.iterdir()] == ["kept"]


@pytest.mark.parametrize("name", ["session/../../escaped", "session//tmp/../../escaped"])
def test_an_archive_never_writes_outside_its_directory(tmp_path: Path, name: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for entry_name, content in (
            ("manifest.json", b'{"driver": "scripted", "round": 1, "headSha": "x"}'),
            (name, b"evil"),
        ):
            entry = tarfile.TarInfo(entry_name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    target = tmp_path / "in" / "target"
    target.mkdir(parents=True)

    sessions.unpack(buffer.getvalue(), target, driver="scripted")

    assert not list(tmp_path.rglob("escaped"))
