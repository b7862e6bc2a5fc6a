"""Run git as a child process: isolated from the machine's configuration, bounded in time, never outliving its parent.

The environment is built from scratch, so no configuration of the machine or the user applies. Hooks and replacement
objects are off. Arguments are SHAs or fully qualified refs, never a name as a user wrote it. This module knows
processes and ref names; other modules know what a repository is for.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from common.errors import CutShort, ProviderRefused, ProviderUnavailable
from common.machine.certificates import certificate_variables, chosen_bundle
from common.machine.git.environment import git_environment, identity
from common.machine.git.limits import LARGE_FILES, limits_prefix, met_limit, was_cut_short
from common.machine.log_files import OutputTail
from common.machine.processes.children import SEARCH_PATH, kill_group

ZERO_SHA = "0" * 40
MOST_OUTPUT_BYTES = 64 * 2**20
"""Limit of a command's output if the caller sets none: far above any answer that callers read as a whole."""
_MOST_STDERR_BYTES = 64 * 1024
_STDERR_SECONDS = 2.0
"""How long to wait for the end of the error output after git has ended."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(/[A-Za-z0-9_][A-Za-z0-9_-]*)*")
_IDENTITY = identity("AiWorker", "aiworker@localhost")
_NEVER_PRUNE = (("gc.pruneExpire", "never"), ("gc.cruftPacks", "true"))
"""Git packs a repository after a push, but removes no object: a backup may still be copying what a branch named before.
Objects that no ref names are packed too, or they would count as reasons to pack again.
"""


@dataclass(frozen=True)
class GitAnswer:
    """The result of a git process. stdout_is_cut: it had more output than max_bytes and was stopped."""

    code: int
    stdout: bytes
    stderr: str
    stdout_is_cut: bool = False

    @property
    def line(self) -> str:
        return self.stdout.decode("utf-8", "replace").strip()

    @property
    def reason(self) -> str:
        """The last line of the error output, for a message."""
        lines = [line for line in self.stderr.splitlines() if line.strip()]
        return lines[-1].strip()[:300] if lines else f"exit code {self.code}"


def environment(config: Mapping[str, str] | Sequence[tuple[str, str]] = ()) -> dict[str, str]:
    """Return the complete environment of a git process. `config` overrides all other configuration; keys may repeat."""
    pairs = [("core.hooksPath", "/dev/null"), ("safe.directory", "*"), LARGE_FILES, *_NEVER_PRUNE]
    pairs += list(config.items() if isinstance(config, Mapping) else config)
    base = {
        "PATH": os.environ.get("PATH", SEARCH_PATH),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        **certificate_variables(chosen_bundle()),
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
    index_path: Path | None = None,
) -> GitAnswer:
    """Run one git command to its end. stdin must be small: it is written before any output is read.

    accept: the exit codes to return; any other raises ProviderUnavailable. An empty tuple accepts every exit code.
    index_path: the file that git keeps its index in; None: the repository's. max_bytes: stop the process after this
    much output. Regardless of accept, raises CutShort after the time limit, a signal or a full disk; ProviderRefused
    `too_large` at a limit of git_limits or MOST_OUTPUT_BYTES; and ProviderRefused `broken_repository` for a directory
    that is not a repository.
    """
    most = MOST_OUTPUT_BYTES if max_bytes is None else max_bytes
    variables = environment(config)
    if repository_path is not None:
        # Set explicitly, so that git neither searches parent directories nor checks who owns the directory.
        variables["GIT_DIR"] = str(repository_path)
    if index_path is not None:
        variables["GIT_INDEX_FILE"] = str(index_path)
    process = _start(["git", *arguments], variables)
    errors = _ErrorOutput(process.stderr)
    try:
        stdout, is_cut, is_late = _exchange(process, stdin, timeout_seconds, most)
    finally:
        kill(process)
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
    answer = GitAnswer(process.returncode, stdout, errors.text(), is_cut)
    step = f"git {arguments[0]} in {repository_path.name if repository_path else 'no repository'}"
    if is_late:
        raise CutShort(
            f"{step} took longer than {timeout_seconds:g} s and was stopped", retry_after_seconds=timeout_seconds
        )
    if is_cut and max_bytes is None:
        raise ProviderRefused(f"{step} wrote more than {MOST_OUTPUT_BYTES:,} bytes", code="too_large")
    if answer.code and not is_cut:
        _raise_trouble(step, answer, is_answer=not accept or answer.code in accept)
    return answer


def _raise_trouble(step: str, answer: GitAnswer, *, is_answer: bool) -> None:
    """Raise the error that a non-zero exit code stands for. is_answer: the caller accepts this exit code."""
    if met_limit(answer.code, answer.stderr):
        raise ProviderRefused(f"{step} exceeded its resource limits: {answer.reason}", code="too_large")
    why = was_cut_short(answer.code, answer.stderr)
    if why is not None:
        raise CutShort(f"{step} {why}")
    if "fatal: not a git repository" in answer.stderr:
        raise ProviderRefused(
            f"{step} failed: the directory is not a git repository; restore it from a backup", code="broken_repository"
        )
    if not is_answer:
        raise ProviderUnavailable(f"{step} failed: {answer.reason}")


class _ErrorOutput:
    """The last _MOST_STDERR_BYTES of a process's error output, read in a thread while the process runs."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        assert pipe is not None
        self._pipe = pipe
        self._tail = OutputTail(_MOST_STDERR_BYTES)
        self._reader = threading.Thread(target=self._read, name="git-stderr", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with self._pipe:
            while chunk := self._pipe.read1(_MOST_STDERR_BYTES):  # type: ignore[attr-defined]
                self._tail.write(chunk)

    def text(self) -> str:
        """Return the text after the process has ended. Waits a bounded time: a child that left the process group may
        keep the pipe open.
        """
        self._reader.join(_STDERR_SECONDS)
        return self._tail.content().decode("utf-8", "replace")


def _start(command: list[str], variables: dict[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [*limits_prefix(), *command],
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
    """Return the output, whether it was cut at max_bytes, and whether the time limit passed."""
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
        # A process may end without reading its input; its exit code tells why.
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
    """Whether this is a valid branch or tag name: git accepts it, and it looks like neither an option nor a ref."""
    if (
        not name
        or len(name.encode("utf-8", "replace")) > 200
        or name.startswith(("-", "refs/"))
        or name in {"HEAD", "@"}
    ):
        return False
    # Excludes control characters, bidirectional marks and lone surrogates.
    if not name.isprintable():
        return False
    # git's rules forbid nothing that letters, digits, hyphens and underscores can form: no process is needed to ask.
    return _PLAIN_NAME.fullmatch(name) is not None or _accepts(name)


def _accepts(name: str) -> bool:
    return run(None, "check-ref-format", f"refs/heads/{name}", accept=(0, 1)).code == 0


def branch_ref(branch: str) -> str:
    """Return `refs/heads/<branch>`. Raises ProviderRefused (`bad_name`) for an invalid name."""
    if not is_valid_name(branch):
        raise ProviderRefused(f"{branch!r} is not a valid branch name", code="bad_name")
    return f"refs/heads/{branch}"


def tag_ref(tag: str) -> str:
    """Return `refs/tags/<tag>`. Raises ProviderRefused (`bad_name`) for an invalid name."""
    if not is_valid_name(tag):
        raise ProviderRefused(f"{tag!r} is not a valid tag name", code="bad_name")
    return f"refs/tags/{tag}"
