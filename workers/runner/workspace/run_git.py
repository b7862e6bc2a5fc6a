"""Git of one run: its options, its limits, the credential, and what its failures mean.

Git in the clone is confined, since the clone's configuration may make it run commands. Git with the credential works in
`origin.git`, whose configuration is our own.
"""

from __future__ import annotations

import collections
import re
import secrets
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from common.errors import CutShort, ProviderRefused, ProviderUnavailable
from common.machine.git import checkout_sizes
from common.machine.git.environment import basic_authorization, git_environment
from common.machine.git.limits import limits, met_limit, was_cut_short
from common.values.runs.claimed_run import Clone
from workers.runner.processes.cancellation import Cancellation
from workers.runner.processes.commands import TimedOut, run_command
from workers.runner.processes.run_confinement import CommandSandbox

FIRST = "\0first"
"""As a word of a command: what the first of the commands wrote to standard output, which then comes last of all."""
_LOCAL_SECONDS = 120
_NETWORK_SECONDS = 600
_MOST_LINES = 5000
_OPTIONS = (
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "core.safecrlf=warn",
    "-c", "commit.gpgSign=false",
    "-c", "gc.auto=0",
    "-c", "maintenance.auto=false",
    "-c", "protocol.ext.allow=never",
    "-c", "advice.detachedHead=false",
)  # fmt: skip
_AWAY = (
    "could not resolve",
    "failed to connect",
    "couldn't connect",
    "connection",
    "timed out",
    "early eof",
    "unexpected disconnect",
    "hung up",
    "empty reply",
    "returned error: 5",
    "returned error: 429",
    "rpc failed",
    "internal server",
)

_UNKNOWN = ("could not read username", "authentication failed", "returned error: 40", "not found")
_RETRY_SECONDS = (0.2, 1.0)
_OBJECT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class RunGit:
    """environ: without the credential, which is in `remote`."""

    remote: Clone
    cancellation: Cancellation
    environ: Mapping[str, str] = field(repr=False)

    def run(
        self,
        commands: Sequence[Sequence[str]],
        cwd: Path,
        *,
        command_sandbox: CommandSandbox | None,
        credential: bool = False,
        more: Mapping[str, str] | None = None,
        may_fail: bool = False,
    ) -> list[str]:
        """Run git with each of these arguments, one after the other, until one fails; returns the lines of all.

        A word may be FIRST. command_sandbox: what confines them; None only for repositories with our own configuration.
        more: variables. may_fail: return [] if it exits with 1. credential: pass the run's credential, and use
        the network's longer timeout.
        """
        name = commands[-1][0]
        code, lines = self._output(
            _argv(commands), name, cwd, command_sandbox=command_sandbox, credential=credential, more=more
        )
        if code == 0:
            return lines
        if may_fail and code == 1:
            return []
        raise self._failure(name, code, lines, credential=credential)

    def answers(
        self,
        questions: Sequence[Sequence[str]],
        cwd: Path,
        *,
        command_sandbox: CommandSandbox | None,
        after: Sequence[Sequence[str]] = (),
        more: Mapping[str, str] | None = None,
    ) -> list[list[str]]:
        """Run git with each of these arguments; returns the lines of each. One that exits with 1 has none.

        after: commands that come before; if one exits with more than 1, nothing else is run. Their lines come first,
        together. Raises CutShort if one exits with 1 because the disk is full. See `run` for the rest.
        """
        mark = secrets.token_hex(8)
        ends = {f"{mark} 0", f"{mark} 1"}
        asking = _asking(after, questions, mark)
        code, lines = self._output(asking, questions[-1][0], cwd, command_sandbox=command_sandbox, more=more, ends=ends)
        if code != 0:
            raise self._failure("", code, lines)
        parts: list[list[str]] = [[]]
        for line in lines:
            if line in ends:
                if line.endswith("1"):
                    parts[-1] = [] if len(parts) > 1 else self._tolerated(parts[0])
                parts.append([])
            elif line:
                parts[-1].append(line)
        if len(parts) != len(questions) + 2:
            raise ProviderRefused("git in the clone did not answer", code="git_failed")
        return parts[:-1]

    def _output(
        self,
        argv: Sequence[str],
        name: str,
        cwd: Path,
        *,
        command_sandbox: CommandSandbox | None,
        credential: bool = False,
        more: Mapping[str, str] | None = None,
        ends: Collection[str] = (),
    ) -> tuple[int, list[str]]:
        """The exit code and the lines. name: of the command, for messages. ends: the last lines of parts of the output.

        The output of these commands is short. Of a part that is unexpectedly long, only the end is kept.
        """
        parts = [collections.deque[str](maxlen=_MOST_LINES)]

        def keep(line: str) -> None:
            parts[-1].append(line)
            if line in ends:
                parts.append(collections.deque(maxlen=_MOST_LINES))

        base = dict(self.environ) | _QUIET | dict(more or {})
        environ = git_environment(base, _credential_config(self.remote) if credential else ())
        seconds = _NETWORK_SECONDS if credential else _LOCAL_SECONDS
        try:
            code = run_command(
                argv,
                cwd=cwd,
                environ=environ,
                command_sandbox=command_sandbox,
                cancellation=self.cancellation,
                on_line=keep,
                timeout_seconds=seconds,
            )
        except TimedOut as error:
            raise CutShort(f"git {name} took longer than {seconds} s") from error
        except OSError as error:
            raise ProviderRefused(f"git can't be started: {error.strerror}", code="no_git") from error
        return code, [line for part in parts for line in part]

    def _tolerated(self, lines: list[str]) -> list[str]:
        """The lines of commands of which one exited with 1. Raises CutShort if the machine made it fail."""
        if why := was_cut_short(1, "\n".join(lines)):
            raise CutShort(f"git {why}: " + "\n".join(lines[-20:]))
        return lines

    def _failure(self, name: str, code: int, lines: Sequence[str], *, credential: bool = False) -> Exception:
        """What to raise for a command that exited with another code than 0."""
        output = "\n".join(lines[-20:])
        if met_limit(code, output):
            return ProviderRefused(f"git {name} exceeded its resource limits: {output}", code="too_large")
        if why := was_cut_short(code, output):
            return CutShort(f"git {name} {why}: {output}")
        if credential and any(word in output.lower() for word in _AWAY) and "denied" not in output.lower():
            return ProviderUnavailable(f"git {name}: {output}")
        return ProviderRefused(f"git {name} failed with exit code {code}: {output}", code="git_failed")

    def at_forge(self, arguments: Sequence[str], cwd: Path) -> list[str]:
        """Run git in this folder of our own with the credential. Retries if the forge rejects the credential.

        A busy Gitea sometimes fails to look up the credential's user and answers as to an anonymous client
        (docs/decisions/0009). The command had no effect then.
        """
        for seconds in _RETRY_SECONDS:
            try:
                return self.run([arguments], cwd, command_sandbox=None, credential=True)
            except ProviderRefused as refused:
                if not any(word in refused.message.lower() for word in _UNKNOWN):
                    raise
            self.cancellation.sleep(seconds)
        return self.run([arguments], cwd, command_sandbox=None, credential=True)

    def require_bounded(self, repository: Path, ref: str) -> None:
        """Raise ProviderRefused (`too_large`) if the ref's commit has too many files to check out.

        repository: one of our own. Git is not confined.
        """
        environ = git_environment(dict(self.environ) | _QUIET) | {"GIT_DIR": str(repository)}
        try:
            checkout_sizes.require_bounded([ref], git=[*limits(), "git", *_OPTIONS], environ=environ)
        except checkout_sizes.TooLarge as error:
            raise ProviderRefused(f"{ref} can't be checked out: {error}", code="too_large") from error
        except (checkout_sizes.TookTooLong, checkout_sizes.Unreadable, OSError) as error:
            raise CutShort(f"the files of {ref} can't be counted: {error}") from error


def verify(name: str) -> list[str]:
    """The command that tells the SHA of this object, and exits with 1 if there is none."""
    return ["rev-parse", "--verify", "--quiet", name]


def object_name(lines: Sequence[str]) -> str:
    """The name of an object, in the last line that git wrote. What the clone's configuration runs may write others."""
    if not lines or not _OBJECT.fullmatch(lines[-1]):
        raise ProviderRefused("git in the clone did not name an object", code="git_failed")
    return lines[-1]


def _argv(commands: Sequence[Sequence[str]]) -> list[str]:
    """One command for all of them: a sandbox takes longer to start than git."""
    if len(commands) == 1:
        return [*limits(), "git", *_OPTIONS, *commands[0]]
    # Each git inherits the shell's limits.
    return [*limits(), "sh", "-ec", "\n".join(_steps(commands))]


def _asking(after: Sequence[Sequence[str]], questions: Sequence[Sequence[str]], mark: str) -> list[str]:
    """A command for all of them, that tells by lines with the mark where the answer of each ends."""
    ending = f"printf '\\n{mark} %s\\n' $code"
    within = '[ "$code" -le 1 ] || exit "$code"'
    steps = ["code=0"]
    for words in after:
        steps += [f"{_words(words)} || code=$?", within]
    steps.append(ending)
    for words in questions:
        steps += ["code=0", f"{_words(words)} || code=$?", ending, within]
    return [*limits(), "sh", "-ec", "\n".join(steps)]


def _steps(commands: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a shell program that ends at the first command that fails."""
    steps = [_words(words) for words in commands]
    if any(FIRST in words for words in commands):
        return [f"first=$({steps[0]})", *steps[1:], "printf '%s\\n' \"$first\""]
    return steps


def _words(words: Sequence[str]) -> str:
    return " ".join('"$first"' if word == FIRST else shlex.quote(word) for word in ("git", *_OPTIONS, *words))


_QUIET: dict[str, str] = {
    "LC_ALL": "C.UTF-8",
    "GIT_EDITOR": "true",
    "GIT_LFS_SKIP_SMUDGE": "1",
}


def _credential_config(remote: Clone) -> list[tuple[str, str]]:
    """Return the configuration with which git authenticates.

    The header is bound to the address's scheme and host, and redirects are not followed, so no other host receives it.
    """
    settings = [("http.followRedirects", "false")]
    address = urlsplit(remote.url)
    if remote.username is not None and remote.password is not None and address.scheme in {"http", "https"}:
        name = f"http.{address.scheme}://{address.netloc}/.extraHeader"
        settings.append((name, basic_authorization(remote.username, remote.password)))
    return settings
