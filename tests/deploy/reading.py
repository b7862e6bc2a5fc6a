"""A reader of the documentation who types what it shows: whole blocks into bash, as they stand, in the page's order."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tests.e2e.instance import wait_until
from tests.patience import PATIENCE_SECONDS
from tests.web.documentation.snippets import Block, scripts

_HEAD = """set -E -o pipefail
trap 'status=$?; printf "%s\\n" "$status $BASH_COMMAND" >>"$FAILED"' ERR
beside() {  # goes on as soon as the command has said the word, and ends it when the script ends
    local word=$1 said
    said=$(mktemp)
    shift
    "$@" >"$said" 2>&1 &
    while kill -0 "$!" && ! grep -q -e "$word" "$said"; do sleep 0.1; done
    cat "$said"
    grep -q -e "$word" "$said"
}
trap 'trap - ERR; jobs -p | xargs -r kill 2>/dev/null; wait' EXIT
"""


@dataclass(frozen=True)
class Said:
    """text: everything that was printed. failed: `status command` of each command that failed, in order; of a pipeline,
    its last command."""

    text: str
    failed: list[str]


class Reader:
    """page: whose scripts are typed, one after the other. folder: where; env: what is known there besides.

    test: the one whose scripts they are, where the page has several (RUNS). words: what the reader has in place of the
    page's samples, such as an address; each has to be on the page.
    """

    def __init__(
        self, page: str, folder: Path, env: Mapping[str, str], *, test: str = "",
        words: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self._left = scripts(page, test)
        self.folder = folder
        self.env = {"LANG": "C.UTF-8", **env}
        self.words = dict(words or {})
        self._used: set[str] = set()

    def read(
        self, begin: str, *, typing: str | Mapping[str, str] = "", until: Callable[[str], bool] | None = None,
        endless: Mapping[str, str] | None = None,
    ) -> Said:  # fmt: skip
        """Type the next script, which has to hold these words.

        typing: for a script that asks: a terminal is there, and each time that it asks, this is typed. Where it asks
        for several things: what is typed, by a word of the question.
        until: for a script that does not end: it is ended as by Ctrl-C once this holds of what was printed.
        endless: commands within the script that do not end, with what they have said when the reader goes on, as in
        another terminal.
        """
        return self.run(self._next(begin, endless or {}), typing=typing, until=until)

    @contextlib.contextmanager
    def reading(self, begin: str, until: Callable[[str], bool]) -> Iterator[None]:
        """Type the next script, which does not end. Leaving the context is Ctrl-C."""
        with self._typed(self._next(begin, {}), until):
            yield

    def _next(self, begin: str, endless: Mapping[str, str]) -> Block:
        block = self._left.pop(0)
        assert begin in block.text, f"{block.where} is where {begin!r} was to be"
        text = block.text
        for command, word in endless.items():
            text, count = re.subn(rf"^(?={re.escape(command)}\b)", f"beside {shlex.quote(word)} ", text, flags=re.M)
            assert count == 1, f"{block.where} has {count} lines with {command!r}"
        for sample, own in self.words.items():
            if sample in text:
                self._used.add(sample)
                text = text.replace(sample, own)
        return replace(block, text=text)

    def left(self) -> list[Block]:
        """The scripts that were not read yet."""
        return list(self._left)

    def finish(self) -> None:
        """Fails where a script of the page was not read, or a word of the reader's own was for none."""
        left = [block.where for block in self._left]
        assert not left, f"no test has read {left}"
        unused = self.words.keys() - self._used
        assert not unused, f"no script has {sorted(unused)}"

    def run(
        self, block: Block, *, typing: str | Mapping[str, str] = "", until: Callable[[str], bool] | None = None
    ) -> Said:
        if typing:
            self._failed.write_text("")
            text = self._talk(self._script(block), {"": typing} if isinstance(typing, str) else typing)
            return Said(text, self._failed.read_text().splitlines())
        with self._typed(block, until):
            failed = self._failed.read_text().splitlines()
        return Said(self._output.read_text(errors="replace"), failed)

    @property
    def _failed(self) -> Path:
        return self.folder / "failed-commands"

    @property
    def _output(self) -> Path:
        return self.folder / "said"

    def _script(self, block: Block) -> list[str]:
        file = self.folder / "typed.sh"
        file.write_text(_HEAD + block.text)
        return ["bash", str(file)]

    @contextlib.contextmanager
    def _typed(self, block: Block, until: Callable[[str], bool] | None) -> Iterator[None]:
        """Until it has ended, or has said what it shall; then for as long as the context lasts."""
        self._failed.write_text("")
        with self._output.open("wb") as said:
            process = self._begin(self._script(block), said.fileno())

        def is_far_enough() -> bool:
            text = self._output.read_text(errors="replace")
            if process.poll() is None:
                return until is not None and until(text)
            assert until is None or until(text), f"{block.where} has ended: {text}"
            return True

        with _ended(process, is_asked=until is not None):
            wait_until(f"{block.where}, see {self._output}", is_far_enough)
            yield

    def _begin(self, command: list[str], said: int) -> subprocess.Popen[bytes]:
        # Whoever runs the tests in the background may ignore SIGINT, by which what does not end is asked to.
        return subprocess.Popen(
            ["env", "--default-signal=INT", "--", *command], cwd=self.folder, env=self._known(),
            stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def _known(self) -> dict[str, str]:
        return {**self.env, "FAILED": str(self._failed)}

    def _talk(self, command: list[str], typing: Mapping[str, str]) -> str:
        ours, theirs = os.openpty()
        process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", "--", *command], cwd=self.folder, env=self._known(), stdin=theirs,
            stdout=theirs, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        text, answered = "", 0
        with _ended(process), contextlib.suppress(OSError):  # which is how the end of a terminal reads
            while said := os.read(ours, 4096):
                text += said.decode(errors="replace")
                if text[answered:].rstrip(" ").endswith(":"):
                    question = text[answered:].splitlines()[-1]
                    answer = next((one for word, one in typing.items() if word in question), None)
                    if answer is not None:
                        os.write(ours, f"{answer}\n".encode())
                        answered = len(text)
        os.close(ours)
        return text


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes], *, is_asked: bool = False) -> Iterator[None]:
    try:
        yield
    finally:
        if is_asked:
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, signal.SIGINT)
                process.wait(PATIENCE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
