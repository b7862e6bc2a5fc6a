"""How this program runs git: with nothing of its surroundings, for a bounded time, and never outliving its parent.

The environment is built from scratch, so no configuration of the machine or of the user counts; hooks and replacement
objects are off; arguments are SHAs or fully qualified refs, never a name that somebody chose. This module knows
processes and ref names; what a repository is for is the others' business.
"""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from common.errors import CutShort, ProviderRefused, ProviderUnavailable
from common.machine.children import SEARCH_PATH, kill_group
from common.machine.git_environment import git_environment, identity
from common.machine.git_limits import LARGE_FILES, leash, met_limit, was_cut_short
from common.machine.log_files import OutputTail

ZERO_SHA = "0" * 40
MOST_OUTPUT_BYTES = 64 * 2**20
"""What a command may say that was not asked for more: far above any answer that is read whole."""
_MOST_SAID_BYTES = 64 * 1024
_PARTING_SECONDS = 2.0
_IDENTITY = identity("AiWorker", "aiworker@localhost")


@dataclass(frozen=True)
class Answer:
    """What a git process answered. stdout_is_cut: it had more to say than was asked for, and was stopped."""

    code: int
    stdout: bytes
    stderr: str
    stdout_is_cut: bool = False

    @property
    def line(self) -> str:
        return self.stdout.decode("utf-8", "replace").strip()

    @property
    def reason(self) -> str:
        """Its last words, for a message."""
        lines = [line for line in self.stderr.splitlines() if line.strip()]
        return lines[-1].strip()[:300] if lines else f"exit code {self.code}"


def environment(config: Mapping[str, str] | Sequence[tuple[str, str]] = ()) -> dict[str, str]:
    """The whole environment of a git process. `config` is the last word on any configuration; keys may repeat."""
    pairs = [("core.hooksPath", "/dev/null"), ("safe.directory", "*"), LARGE_FILES]
    pairs += list(config.items() if isinstance(config, Mapping) else config)
    base = {
        "PATH": os.environ.get("PATH", SEARCH_PATH),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        **_IDENTITY,
    }
    return git_environment(base, pairs)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process group started here, and reap it. Safe to repeat."""
    if process.poll() is None:
        kill_group(process.pid)
    process.wait()


def run(
    repository_path: Path | None,
    *arguments: str,
    stdin: bytes = b"",
    accept: tuple[int, ...] = (0,),
    timeout_seconds: float = 30,
    max_bytes: int | None = None,
    config: Sequence[tuple[str, str]] = (),
) -> Answer:
    """Run one git command to its end. stdin must be small (a commit message, a file of ours).

    accept: the exit codes that are answers; any other raises ProviderUnavailable. None accepted (`()`) means all are.
    max_bytes: stop reading, and the process, after that much output. Never an answer: a passed time limit, a signal or
    a full disk (CutShort), a limit of git_limits or MOST_OUTPUT_BYTES (ProviderRefused `too_large`), and a
    directory that is no repository (ProviderRefused `broken_repository`).
    """
    most = MOST_OUTPUT_BYTES if max_bytes is None else max_bytes
    variables = environment(config)
    if repository_path is not None:
        # Named outright, so that git neither searches upwards nor asks who owns the directory.
        variables["GIT_DIR"] = str(repository_path)
    process = _start(["git", *arguments], variables)
    said = _Said(process.stderr)
    try:
        stdout, is_cut, is_late = _exchange(process, stdin, timeout_seconds, most)
    finally:
        kill(process)
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
    answer = Answer(process.returncode, stdout, said.text(), is_cut)
    step = f"git {arguments[0]} in {repository_path.name if repository_path else 'no repository'}"
    if is_late:
        raise CutShort(
            f"{step} took longer than {timeout_seconds:g} s and was stopped", retry_after_seconds=timeout_seconds
        )
    if is_cut and max_bytes is None:
        raise ProviderRefused(f"{step} said more than {MOST_OUTPUT_BYTES:,} bytes", code="too_large")
    if answer.code and not is_cut:
        _raise_trouble(step, answer, is_answer=not accept or answer.code in accept)
    return answer


def _raise_trouble(step: str, answer: Answer, *, is_answer: bool) -> None:
    """Raise what an exit code that is no success stands for; return if it is git's own answer to the question."""
    if met_limit(answer.code, answer.stderr):
        raise ProviderRefused(f"{step} needs more than it may use: {answer.reason}", code="too_large")
    why = was_cut_short(answer.code, answer.stderr)
    if why is not None:
        raise CutShort(f"{step} {why}")
    if "fatal: not a git repository" in answer.stderr:
        raise ProviderRefused(
            f"{step} failed: what is there is not a git repository; restore it from a backup", code="broken_repository"
        )
    if not is_answer:
        raise ProviderUnavailable(f"{step} failed: {answer.reason}")


class _Said:
    """The last _MOST_SAID_BYTES that a process writes to its error output, read as it comes, however much it is."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        assert pipe is not None
        self._pipe = pipe
        self._tail = OutputTail(_MOST_SAID_BYTES)
        self._reader = threading.Thread(target=self._read, name="git-stderr", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with self._pipe:
            while chunk := self._pipe.read1(_MOST_SAID_BYTES):  # type: ignore[attr-defined]
                self._tail.write(chunk)

    def text(self) -> str:
        """All of it, once the process is gone. A child of it that left its group may hold the pipe open longer."""
        self._reader.join(_PARTING_SECONDS)
        return self._tail.content().decode("utf-8", "replace")


def _start(command: list[str], variables: dict[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [*leash(), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=variables,
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise ProviderUnavailable(f"git can't be started: {error.strerror}; install git 2.38 or newer") from error


def _exchange(
    process: subprocess.Popen[bytes], stdin: bytes, timeout_seconds: float, max_bytes: int
) -> tuple[bytes, bool, bool]:
    """Its output, whether that was cut at max_bytes, and whether the time ran out."""
    late = threading.Event()

    def stop() -> None:
        late.set()
        kill_group(process.pid)

    timer = threading.Timer(timeout_seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        # A process that ends without reading what it was told says why by its exit code.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(stdin)
            process.stdin.close()
        stdout = process.stdout.read(max_bytes + 1)
        is_cut = len(stdout) > max_bytes
        if not is_cut:
            process.wait()
    finally:
        timer.cancel()
    return stdout[:max_bytes], is_cut, late.is_set()


@functools.lru_cache(maxsize=4096)
def is_valid_name(name: str) -> bool:
    """Whether a branch or tag may be called this: what git takes, less what could pass for an option or a ref."""
    if (
        not name
        or len(name.encode("utf-8", "replace")) > 200
        or name.startswith(("-", "refs/"))
        or name in {"HEAD", "@"}
    ):
        return False
    # Not printable: control characters, bidirectional marks and lone surrogates, none of which a name needs.
    if not name.isprintable():
        return False
    return run(None, "check-ref-format", f"refs/heads/{name}", accept=(0, 1)).code == 0


def branch_ref(branch: str) -> str:
    """`refs/heads/<branch>`; ProviderRefused (`bad_name`) for what can't be a branch."""
    if not is_valid_name(branch):
        raise ProviderRefused(f"{branch!r} can't be the name of a branch", code="bad_name")
    return f"refs/heads/{branch}"


def tag_ref(tag: str) -> str:
    """`refs/tags/<tag>`; ProviderRefused (`bad_name`) for what can't be a tag."""
    if not is_valid_name(tag):
        raise ProviderRefused(f"{tag!r} can't be the name of a tag", code="bad_name")
    return f"refs/tags/{tag}"
