"""Git of one run: its options, its limits, the credential, and what its failures mean.

Git in the clone is confined, since the clone's configuration may make it run commands. Git with the credential works in
`origin.git`, whose configuration is our own.
"""

from __future__ import annotations

import collections
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from common.errors import CutShort, ProviderRefused, ProviderUnavailable
from common.machine import git_trees
from common.machine.git_environment import basic_authorization, git_environment
from common.machine.git_limits import limits, met_limit, was_cut_short
from common.values.claimed_run import Clone
from workers.runner.cancellation import Cancellation
from workers.runner.commands import TimedOut, run_command
from workers.runner.run_walls import Place

_LOCAL_SECONDS = 120
_NETWORK_SECONDS = 600
_MOST_LINES = 5000
_OPTIONS = (
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
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
        place: Place | None,
        credential: bool = False,
        more: Mapping[str, str] | None = None,
        may_fail: bool = False,
    ) -> list[str]:
        """Run git with each of these arguments, one after the other, until one fails; returns the lines of all.

        place: what confines them; None only for repositories with our own configuration. more: variables. may_fail:
        return [] if it exits with 1. credential: pass the run's credential, and use the network's longer timeout.
        """
        # The output of these commands is short; of unexpectedly long output only the end is kept.
        lines: collections.deque[str] = collections.deque(maxlen=_MOST_LINES)
        base = dict(self.environ) | _QUIET | dict(more or {})
        environ = git_environment(base, _credential_config(self.remote) if credential else ())
        seconds = _NETWORK_SECONDS if credential else _LOCAL_SECONDS
        name = commands[-1][0]
        try:
            code = run_command(
                _argv(commands),
                cwd=cwd,
                environ=environ,
                place=place,
                cancellation=self.cancellation,
                on_line=lines.append,
                timeout_seconds=seconds,
            )
        except TimedOut as error:
            raise CutShort(f"git {name} took longer than {seconds} s") from error
        except OSError as error:
            raise ProviderRefused(f"git can't be started: {error.strerror}", code="no_git") from error
        if code == 0:
            return list(lines)
        if may_fail and code == 1:
            return []
        output = "\n".join(list(lines)[-20:])
        if met_limit(code, output):
            raise ProviderRefused(f"git {name} exceeded its resource limits: {output}", code="too_large")
        if why := was_cut_short(code, output):
            raise CutShort(f"git {name} {why}: {output}")
        if credential and any(word in output.lower() for word in _AWAY) and "denied" not in output.lower():
            raise ProviderUnavailable(f"git {name}: {output}")
        raise ProviderRefused(f"git {name} failed with exit code {code}: {output}", code="git_failed")

    def at_forge(self, arguments: Sequence[str], mirror: Path) -> list[str]:
        """Run git in this repository of our own with the credential. Retries if the forge rejects the credential.

        A busy Gitea sometimes fails to look up the credential's user and answers as to an anonymous client
        (docs/decisions/0009). The command had no effect then.
        """
        for seconds in _RETRY_SECONDS:
            try:
                return self.run([arguments], mirror, place=None, credential=True)
            except ProviderRefused as refused:
                if not any(word in refused.message.lower() for word in _UNKNOWN):
                    raise
            self.cancellation.sleep(seconds)
        return self.run([arguments], mirror, place=None, credential=True)

    def require_bounded(self, repository: Path, ref: str) -> None:
        """Raise ProviderRefused (`too_large`) if the ref's commit has too many files to check out.

        repository: one of our own. Git is not confined.
        """
        environ = git_environment(dict(self.environ) | _QUIET) | {"GIT_DIR": str(repository)}
        try:
            git_trees.require_bounded([ref], git=[*limits(), "git", *_OPTIONS], environ=environ)
        except git_trees.TooLarge as error:
            raise ProviderRefused(f"{ref} can't be checked out: {error}", code="too_large") from error
        except (git_trees.TookTooLong, git_trees.Unreadable, OSError) as error:
            raise CutShort(f"the files of {ref} can't be counted: {error}") from error


def _argv(commands: Sequence[Sequence[str]]) -> list[str]:
    """One command for all of them: a sandbox takes longer to start than git."""
    several = [[*limits(), "git", *_OPTIONS, *arguments] for arguments in commands]
    return several[0] if len(several) == 1 else ["sh", "-ec", "\n".join(shlex.join(words) for words in several)]


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
