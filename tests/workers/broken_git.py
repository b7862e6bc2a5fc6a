"""A git in front of the real one, for what a machine does to it: kill it, or leave it no room."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

KILLED = "kill -KILL $$"


class BrokenGit:
    """A git in front of the real one that ends its next `times` calls of one verb by a shell's line."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left = folder / "left"
        self._verb, self._how = folder / "verb", folder / "how"
        real = shutil.which("git")
        program = folder / "git"
        program.write_text(
            "#!/bin/sh\n"
            f"left=$(cat {self._left} 2>/dev/null || echo 0)\n"
            f'for word; do if [ $left -gt 0 ] && [ "$word" = "$(cat {self._verb})" ]; then\n'
            f'echo $((left - 1)) >{self._left}; eval "$(cat {self._how})"; fi; done\n'
            f'exec {real} "$@"\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def end(self, verb: str, how: str, times: int) -> None:
        self._verb.write_text(verb)
        self._how.write_text(how)
        self._left.write_text(str(times))

    @property
    def left(self) -> int:
        return int(self._left.read_text())


@pytest.fixture
def broken_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BrokenGit:
    (tmp_path / "bin").mkdir()
    return BrokenGit(tmp_path / "bin", monkeypatch)
