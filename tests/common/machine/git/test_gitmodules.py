"""What `.gitmodules` names, compared with what git reads from the same file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from common.machine.git.gitmodules import submodule_paths

NAMED = [
    '[submodule "lib"]\n\tpath = lib\n\turl = https://example.com/lib.git\n',
    '[submodule "a"]\n\tPATH=vendor/a b  ; a comment\n[submodule "b"] path = "c;#d" # another\n',
    '[submodule "q"]\n\tpath = "a \\"quoted\\" name"\n\tbranch = main\n',
    '[submodule "w"]\r\n\tpath = windows\r\n',
    '[submodule "u"]\n\tpath = größe/ß\n',
    '# path = none\n[submodule "x"]\n\turl = path = y\n',
]


@pytest.mark.parametrize("content", NAMED)
def test_the_same_paths_are_read_as_by_git(tmp_path: Path, content: str) -> None:
    file = tmp_path / "gitmodules"
    file.write_bytes(content.encode())
    command = ["git", "config", "--null", "--file", str(file), "--get-regexp", r"^submodule\..*\.path$"]
    read = subprocess.run(command, capture_output=True, check=False).stdout.decode()
    expected = {entry.partition("\n")[2] for entry in read.split("\0") if entry}

    assert submodule_paths(content.encode()) == expected


def test_what_is_no_configuration_names_nothing() -> None:
    assert submodule_paths(b"") == submodule_paths(b"\xff\0pa th = x") == frozenset()
