"""A run's workspace: a fresh clone, the agent's commits in it, and the push.

The run's directory contains two repositories. `origin.git` is this process's own: only it fetches and pushes with the
run's credential, and a driver's commands do not use it. The driver works in `repository`, a clone of it by path. A
driver's commands may change that repository's configuration, so no git command in it gets the credential. Hooks never
run in either. The credential is only in the environment of single git commands.

    <run directory>/origin.git    <run directory>/repository    <run directory>/home    <run directory>/session
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from common.errors import CutShort, ProviderRefused, ProviderUnavailable
from common.machine import git_trees
from common.machine.children import base_environment
from common.machine.files import remove_tree
from common.machine.git_environment import basic_authorization, git_environment, identity
from common.machine.git_limits import limits, met_limit, was_cut_short
from common.values.claimed_run import Clone
from workers.runner.cancellation import Cancellation
from workers.runner.commands import TimedOut, kill_all_below, run_command

IDENTITY = identity("AI agent", "agent@aiworker.invalid")

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
class Workspace:
    """One run's directory. Created by `clone`, deleted by `remove`."""

    directory: Path
    remote: Clone
    cancellation: Cancellation

    @property
    def path(self) -> Path:
        """The working tree."""
        return self.directory / "repository"

    @property
    def home(self) -> Path:
        return self.directory / "home"

    @property
    def session_dir(self) -> Path:
        return self.directory / "session"

    @property
    def environ(self) -> dict[str, str]:
        """The whole environment of a driver's commands. Contains no token."""
        return base_environment(self.home) | IDENTITY

    def clone(self) -> None:
        """Recreate the directory, with the run's branch checked out. Safe to repeat.

        Raises ProviderUnavailable if the forge is unavailable, ProviderRefused if it refuses or has no such branch.
        """
        self.remove()
        for directory in (self.directory, self.home, self.session_dir):
            directory.mkdir(mode=0o700, parents=True)
        mirror = self.directory / "origin.git"
        self._git(["init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(mirror)], self.directory)
        self._fetch()
        branch = self.remote.branch
        self._require_bounded(mirror, f"refs/heads/{branch}")
        arguments = ["clone", "--quiet", "--template=", "--branch", branch, "--", str(mirror), str(self.path)]
        self._git(arguments, self.directory)

    def head(self) -> str:
        """Return the SHA of HEAD in the working tree."""
        return self._git(["rev-parse", "--verify", "HEAD^{commit}"], self.path)[0]

    def head_message(self) -> str:
        """Return the whole commit message of HEAD in the working tree."""
        return "\n".join(self._git(["log", "-1", "--format=%B", "HEAD"], self.path))

    def commit_all(self, message: str) -> str | None:
        """Commit everything that differs from HEAD; returns the commit's SHA, None if nothing differs.

        An unfinished merge is committed too, even with conflict markers: the platform's checks will find them.
        """
        # A killed git leaves its index lock. After kill_all_below no git of the agent is running any more.
        kill_all_below(self.home)
        (self.path / ".git" / "index.lock").unlink(missing_ok=True)
        self._git(["add", "--all", "--", "."], self.path)
        is_merging = (self.path / ".git" / "MERGE_HEAD").exists()
        if not is_merging and not self._git(["status", "--porcelain", "--untracked-files=no"], self.path):
            return None
        self._git(["commit", "--quiet", "--no-verify", "--cleanup=verbatim", "-m", message], self.path)
        return self.head()

    def push(self) -> str:
        """Push HEAD of the working tree to the branch at the forge; returns its SHA. Safe to repeat.

        If somebody else moved the branch, their commits are merged in once. Raises ProviderUnavailable if the forge is
        unavailable, and ProviderRefused if it refuses, if that merge conflicts, or if the branch moves again.
        """
        if self._push():
            return self.head()
        self._fetch()
        branch = self.remote.branch
        self._git(["fetch", "--quiet", "--no-tags", "--", str(self.directory / "origin.git"),
                   f"refs/heads/{branch}"], self.path)  # fmt: skip
        try:
            self._git(["merge", "--quiet", "--no-edit", "--no-verify", "FETCH_HEAD"], self.path)
        except ProviderRefused as error:
            raise ProviderRefused(
                f"somebody else pushed to {branch}, and their commits conflict with those of this run", code="diverged"
            ) from error
        if not self._push():
            raise ProviderRefused(f"{branch} was moved twice while this run pushed it", code="diverged")
        return self.head()

    def remove(self) -> None:
        """Kill the run's processes and delete its directory. Safe to repeat."""
        if self.directory.exists():
            kill_all_below(self.home)
            remove_tree(self.directory)

    def _require_bounded(self, repository: Path, ref: str) -> None:
        """Raise ProviderRefused (`too_large`) if the ref's commit has too many files to check out."""
        environ = git_environment(self.environ | _QUIET) | {"GIT_DIR": str(repository)}
        try:
            git_trees.require_bounded([ref], git=[*limits(), "git", *_OPTIONS], environ=environ)
        except git_trees.TooLarge as error:
            raise ProviderRefused(f"{ref} can't be checked out: {error}", code="too_large") from error
        except (git_trees.TookTooLong, git_trees.Unreadable, OSError) as error:
            raise CutShort(f"the files of {ref} can't be counted: {error}") from error

    def _fetch(self) -> None:
        self._at_forge(
            ["fetch", "--quiet", "--no-tags", "--prune", "--no-recurse-submodules", "--", self.remote.url,
             "+refs/heads/*:refs/heads/*"],
        )  # fmt: skip

    def _push(self) -> bool:
        """Push from origin.git; False if the branch at the forge has commits that HEAD lacks."""
        mirror = self.directory / "origin.git"
        self._git(["fetch", "--quiet", "--no-tags", "--", str(self.path), "+HEAD:refs/aiworker/head"], mirror)
        target = f"refs/aiworker/head:refs/heads/{self.remote.branch}"
        try:
            self._at_forge(["push", "--quiet", "--porcelain", "--", self.remote.url, target])
        except ProviderRefused as error:
            if any(word in error.message for word in ("non-fast-forward", "fetch first", "needs force")):
                return False
            raise
        return True

    def _at_forge(self, arguments: Sequence[str]) -> list[str]:
        """Run git in origin.git with the credential. Retries if the forge rejects the credential.

        A busy Gitea sometimes fails to look up the credential's user and answers as to an anonymous client
        (docs/decisions/0009). The command had no effect then.
        """
        for seconds in _RETRY_SECONDS:
            try:
                return self._git(arguments, self.directory / "origin.git", credential=True)
            except ProviderRefused as refused:
                if not any(word in refused.message.lower() for word in _UNKNOWN):
                    raise
            self.cancellation.sleep(seconds)
        return self._git(arguments, self.directory / "origin.git", credential=True)

    def _git(self, arguments: Sequence[str], cwd: Path, *, credential: bool = False) -> list[str]:
        """Run git and return its lines. credential: pass the run's credential, and use the network's longer timeout."""
        # The output of these commands is short; of unexpectedly long output only the end is kept.
        lines: collections.deque[str] = collections.deque(maxlen=_MOST_LINES)
        environ = git_environment(self.environ | _QUIET, _credential_config(self.remote) if credential else ())
        seconds = _NETWORK_SECONDS if credential else _LOCAL_SECONDS
        try:
            code = run_command(
                [*limits(), "git", *_OPTIONS, *arguments],
                cwd=cwd,
                environ=environ,
                cancellation=self.cancellation,
                on_line=lines.append,
                timeout_seconds=seconds,
            )
        except TimedOut as error:
            raise CutShort(f"git {arguments[0]} took longer than {seconds} s") from error
        except OSError as error:
            raise ProviderRefused(f"git can't be started: {error.strerror}", code="no_git") from error
        if code == 0:
            return list(lines)
        output = "\n".join(list(lines)[-20:])
        if met_limit(code, output):
            raise ProviderRefused(f"git {arguments[0]} exceeded its resource limits: {output}", code="too_large")
        if why := was_cut_short(code, output):
            raise CutShort(f"git {arguments[0]} {why}: {output}")
        if credential and any(word in output.lower() for word in _AWAY) and "denied" not in output.lower():
            raise ProviderUnavailable(f"git {arguments[0]}: {output}")
        raise ProviderRefused(f"git {arguments[0]} failed with exit code {code}: {output}", code="git_failed")


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
