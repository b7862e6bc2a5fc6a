"""What stops a start, and the one line that says so."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from common.errors import Misconfigured
from web.launcher import prerequisites

ROOT = Path(__file__).parents[3]


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


def test_a_data_directory_has_one_launcher(tmp_path: Path) -> None:
    with (
        prerequisites.own_directory(tmp_path / "data"),
        pytest.raises(Misconfigured, match=rf"in use by process {os.getpid()};"),
        prerequisites.own_directory(tmp_path / "data"),
    ):
        pass

    with prerequisites.own_directory(tmp_path / "data"):
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_socket_directory_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)

    with pytest.raises(Misconfigured, match="is accessible to other users"):
        prerequisites.prepare_socket_directory(tmp_path / "open" / "redis.sock", tmp_path / "data")
