"""What stops a start, and the one line that says so."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import Misconfigured
from web.launcher import prerequisites

ROOT = Path(__file__).parents[3]


def test_this_machine_has_the_programs() -> None:
    prerequisites.check_programs()


def test_a_machine_without_git_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "setpriv").symlink_to("/usr/bin/env")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(Misconfigured, match="git is not installed"):
        prerequisites.check_programs()


def test_a_git_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    git = tmp_path / "git"
    git.write_text("#!/bin/sh\necho git version 2.37.9\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    with pytest.raises(Misconfigured, match=r"git 2\.38 or newer is needed; this is: git version 2\.37\.9"):
        prerequisites.check_programs()


def test_a_taken_port_is_named_with_the_way_out() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(Misconfigured, match=rf"port {port} .*AIWORKER_PORT or --port"):
            prerequisites.check_port("127.0.0.1", port)


def test_a_free_port_can_be_used() -> None:
    prerequisites.check_port("127.0.0.1", prerequisites.free_port("127.0.0.1"))


def test_a_data_directory_has_one_launcher(tmp_path: Path) -> None:
    with (
        prerequisites.own_directory(tmp_path / "data"),
        pytest.raises(Misconfigured, match=rf"in use by process {os.getpid()};"),
        prerequisites.own_directory(tmp_path / "data"),
    ):
        pass

    with prerequisites.own_directory(tmp_path / "data"):
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_killed_launcher_leaves_its_directory_free(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from web.launcher.prerequisites import own_directory\n"
        "with own_directory(Path(sys.argv[1])):\n"
        "    print('mine', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True) as launcher:
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == "mine\n"
        with (
            pytest.raises(Misconfigured, match=f"in use by process {launcher.pid}"),
            prerequisites.own_directory(tmp_path),
        ):
            pass
        launcher.kill()

    with prerequisites.own_directory(tmp_path):
        pass


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")

    with (
        pytest.raises(Misconfigured, match=r"file/data is not writable .*AIWORKER_DATA_DIR"),
        prerequisites.own_directory(tmp_path / "file" / "data"),
    ):
        pass


def test_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    """The lock file is there already, so opening it needs no room."""
    (tmp_path / "lock").touch()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(Misconfigured, match="is not writable"), prerequisites.own_directory(tmp_path):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_socket_outside_of_the_data_directory_gets_a_private_one(tmp_path: Path) -> None:
    prerequisites.prepare_socket_directory(tmp_path / "short" / "redis.sock", tmp_path / "data")

    assert (tmp_path / "short").stat().st_mode & 0o777 == 0o700


def test_a_socket_directory_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)

    with pytest.raises(Misconfigured, match="is accessible to other users"):
        prerequisites.prepare_socket_directory(tmp_path / "open" / "redis.sock", tmp_path / "data")


def test_a_link_in_place_of_a_socket_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(Misconfigured, match="is accessible to other users"):
        prerequisites.prepare_socket_directory(tmp_path / "link" / "redis.sock", tmp_path / "data")
