"""A reader of the documentation who types what it shows: whole blocks into bash, as they stand, in the page's order."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.instance import wait_until
from tests.web.documentation.snippets import Block, scripts

LONGEST_SECONDS = 120
_HEAD = """set -E -o pipefail
trap 'status=$?; printf "%s\\n" "$status $BASH_COMMAND" >>"$FAILED"' ERR
"""


@dataclass(frozen=True)
class Said:
    """text: everything that was printed. failed: `status command` of each command that failed, in order; of a pipeline,
    its last command."""

    text: str
    failed: list[str]


class Reader:
    """page: whose scripts are typed, one after the other. folder: where; env: what is known there besides."""

    def __init__(self, page: str, folder: Path, env: Mapping[str, str]) -> None:
        self._left = scripts(page)
        self._folder = folder
        self._failed = folder / "failed-commands"
        self.env = {"LANG": "C.UTF-8", "FAILED": str(self._failed), **env}

    def read(self, begin: str, *, typing: str = "", until: Callable[[str], bool] | None = None) -> Said:
        """Type the next script, which has to hold these words.

        typing: for a script that asks: a terminal is there, and each time that it asks, this is typed.
        until: for a script that does not end: it is ended as by Ctrl-C once this holds of what was printed.
        """
        block = self._left.pop(0)
        assert begin in block.text, f"{block.where} is where {begin!r} was to be"
        return self.run(block, typing=typing, until=until)

    def left(self) -> list[Block]:
        """The scripts that were not read yet."""
        return list(self._left)

    def finish(self) -> None:
        """Fails where a script of the page was not read."""
        left = [block.where for block in self._left]
        assert not left, f"no test has read {left}"

    def run(self, block: Block, *, typing: str = "", until: Callable[[str], bool] | None = None) -> Said:
        self._failed.write_text("")
        file, output = self._folder / "typed.sh", self._folder / "said"
        file.write_text(_HEAD + block.text)
        command = ["bash", str(file)]
        if typing:
            text = self._talk(command, typing)
        else:
            with output.open("wb") as said:
                process = self._begin(command, said.fileno())
            with _ended(process):
                if until is not None:
                    wait_until(f"{block.where} to print that", lambda: until(output.read_text()), LONGEST_SECONDS)
                else:
                    wait_until(
                        f"{block.where} to end, which said {output}",
                        lambda: process.poll() is not None,
                        LONGEST_SECONDS,
                    )
            text = output.read_text(errors="replace")
        return Said(text, self._failed.read_text().splitlines())

    def _begin(self, command: list[str], said: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, cwd=self._folder, env=self.env, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip

    def _talk(self, command: list[str], typing: str) -> str:
        ours, theirs = os.openpty()
        process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", "--", *command], cwd=self._folder, env=self.env, stdin=theirs,
            stdout=theirs, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        text, answered = "", 0
        with _ended(process), contextlib.suppress(OSError):  # which is how the end of a terminal reads
            while said := os.read(ours, 4096):
                text += said.decode(errors="replace")
                if text[answered:].rstrip(" ").endswith(":"):
                    os.write(ours, f"{typing}\n".encode())
                    answered = len(text)
        os.close(ours)
        return text


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
