"""A run's workspace: a fresh clone, the agent's commits in it, and the push.

The run's directory contains two repositories. `origin.git` is this process's own: only it fetches and pushes with the
run's credential, and a driver's commands do not use it. The driver works in `repository`, a clone of it by path. A
driver's commands may change that repository's configuration, so no git command in it gets the credential. Hooks never
run in either. The credential is only in the environment of single git commands.

A checkpoint is a commit that is made beside the driver: from an index of its own, without moving HEAD. It is pushed, so
the run's last commit must contain it: whatever the driver did to its own history, `commit_all` adds what was pushed as
a parent, and keeps the driver's files.

    <run directory>/origin.git    <run directory>/repository    <run directory>/home    <run directory>/session
"""

from __future__ import annotations

import collections
import contextlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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

UNFINISHED = "Unfinished: yes"
"""The trailer of a checkpoint's commit message."""
IDENTITY = identity("AI agent", "agent@aiworker.invalid")

_LOCAL_SECONDS = 120
_NETWORK_SECONDS = 600
_MOST_LINES = 5000
_CHECKPOINT = "refs/aiworker/checkpoint"
"""In origin.git: what this run pushed last or tried to, at first the branch's head."""
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
    """One run's directory. Created by `clone`, deleted by `remove`. variables: added to `environ`."""

    directory: Path
    remote: Clone
    cancellation: Cancellation
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

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
    def attachments_dir(self) -> Path:
        return self.directory / "attachments"

    @property
    def environ(self) -> dict[str, str]:
        """The whole environment of a driver's commands. Contains no token."""
        return base_environment(self.home) | IDENTITY | dict(self.variables)

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
        self._git(["update-ref", _CHECKPOINT, f"refs/heads/{branch}"], mirror)

    def head(self) -> str:
        """Return the SHA of HEAD in the working tree."""
        return self._git(["rev-parse", "--verify", "HEAD^{commit}"], self.path)[0]

    def head_message(self) -> str:
        """Return the whole commit message of HEAD in the working tree."""
        return "\n".join(self._git(["log", "-1", "--format=%B", "HEAD"], self.path))

    def committed_text(self, name: str) -> str:
        """Return the text of a file at HEAD of the working tree; empty if there is none. name: its path from there."""
        try:
            return "".join(f"{line}\n" for line in self._git(["show", f"HEAD:{name}"], self.path))
        except (CutShort, ProviderRefused):
            return ""

    def commit_all(self, message: str) -> str | None:
        """Commit everything that differs from HEAD; returns the commit's SHA, None if nothing differs.

        The commit contains what this run pushed before. An unfinished merge is committed too, even with conflict
        markers: the platform's checks will find them. HEAD and its index are moved to the commit.
        """
        # A killed git leaves its index lock. After kill_all_below no git of the agent is running any more.
        kill_all_below(self.home)
        (self.path / ".git" / "index.lock").unlink(missing_ok=True)
        tree, head, pushed = self._tree(), self._own_head(), self._pushed()
        parents = self._parents(head, pushed)
        merged = self._git(["rev-parse", "--verify", "--quiet", "MERGE_HEAD"], self.path, may_fail=True)
        is_same = parents == [head] and tree == self._tree_of(head) and not merged
        if is_same and UNFINISHED not in self.head_message().splitlines():
            return None
        commit = self._commit(tree, [*parents, *(it for it in merged if it not in parents)], message)
        self._git(["reset", "--quiet", "--mixed", commit], self.path)
        return commit

    def commit_aside(self, message: str) -> str | None:
        """Commit the files as they are without moving HEAD or its index; None if the branch has all of it already.

        Returns HEAD itself if it has everything. Safe while the driver works. Raises ProviderRefused or CutShort if a
        file changes at the wrong moment.
        """
        tree, head, pushed = self._tree(), self._own_head(), self._pushed()
        parents = self._parents(head, pushed)
        if parents == [pushed] and tree == self._tree_of(pushed):
            return None
        if parents == [head] and tree == self._tree_of(head):
            return head
        return self._commit(tree, parents, message)

    def push_aside(self, commit: str) -> bool:
        """Push a commit of `commit_aside`; False if somebody else moved the branch. Raises as `push`."""
        mirror = self.directory / "origin.git"
        before = self._pushed()
        self._git(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", str(self.path), commit], mirror)
        # Before the push, as its answer may be lost: the next commit then contains this one in any case.
        self._git(["update-ref", _CHECKPOINT, commit], mirror)
        try:
            return self._push(commit)
        except ProviderUnavailable:
            raise
        except ProviderRefused:
            self._git(["update-ref", _CHECKPOINT, before], mirror)
            raise

    def push(self) -> str:
        """Push HEAD of the working tree to the branch at the forge; returns its SHA. Safe to repeat.

        If somebody else moved the branch, their commits are merged in once. Raises ProviderUnavailable if the forge is
        unavailable, and ProviderRefused if it refuses, if that merge conflicts, or if the branch moves again.
        """
        if self._push_head():
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
        if not self._push_head():
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

    def _push_head(self) -> bool:
        mirror = self.directory / "origin.git"
        self._git(["fetch", "--quiet", "--no-tags", "--", str(self.path), "+HEAD:refs/aiworker/head"], mirror)
        return self._push("refs/aiworker/head")

    def _push(self, what: str) -> bool:
        """Push from origin.git; False if the branch at the forge has commits that `what` lacks."""
        target = f"{what}:refs/heads/{self.remote.branch}"
        try:
            self._at_forge(["push", "--quiet", "--porcelain", "--", self.remote.url, target])
        except ProviderRefused as error:
            if any(word in error.message for word in ("non-fast-forward", "fetch first", "needs force")):
                return False
            raise
        return True

    def _tree(self) -> str:
        """Write the files of the working tree, without those that are ignored, as a tree; returns its SHA."""
        index = self.directory / "checkpoint.index"
        index.with_name("checkpoint.index.lock").unlink(missing_ok=True)
        index.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            # With what git knows of the files there, only those that changed are read.
            # Its time must stay: files that changed within the same moment are found by it.
            shutil.copy2(self.path / ".git" / "index", index)
        environ = {"GIT_INDEX_FILE": str(index)}
        self._git(["add", "--all", "--", "."], self.path, more=environ)
        return self._git(["write-tree"], self.path, more=environ)[-1]

    def _tree_of(self, commit: str | None) -> str:
        return self._git(["rev-parse", "--verify", f"{commit}^{{tree}}"], self.path)[0]

    def _own_head(self) -> str | None:
        """HEAD of the working tree; None if the driver is on a branch without a commit."""
        found = self._git(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], self.path, may_fail=True)
        return found[0] if found else None

    def _pushed(self) -> str:
        """What this run pushed last. Afterwards the working tree's repository has it."""
        mirror = self.directory / "origin.git"
        (pushed,) = self._git(["rev-parse", "--verify", _CHECKPOINT], mirror)
        if not self._git(["rev-parse", "--verify", "--quiet", f"{pushed}^{{commit}}"], self.path, may_fail=True):
            self._git(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", str(mirror), _CHECKPOINT],
                      self.path)  # fmt: skip
        return pushed

    def _parents(self, head: str | None, pushed: str) -> list[str]:
        """The fewest parents of a commit that contains both."""
        if head is None or self._contains(pushed, head):
            return [pushed] if head != pushed else [head]
        return [head] if self._contains(head, pushed) else [pushed, head]

    def _contains(self, commit: str, other: str) -> bool:
        return not self._git(["rev-list", "--max-count=1", other, f"^{commit}"], self.path)

    def _commit(self, tree: str, parents: Sequence[str], message: str) -> str:
        options = [word for parent in parents for word in ("-p", parent)]
        return self._git(["commit-tree", "--no-gpg-sign", *options, "-m", message, tree], self.path)[-1]

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

    def _git(
        self,
        arguments: Sequence[str],
        cwd: Path,
        *,
        credential: bool = False,
        more: Mapping[str, str] | None = None,
        may_fail: bool = False,
    ) -> list[str]:
        """Run git and return its lines. more: variables. may_fail: return [] if it exits with 1.

        credential: pass the run's credential, and use the network's longer timeout.
        """
        # The output of these commands is short; of unexpectedly long output only the end is kept.
        lines: collections.deque[str] = collections.deque(maxlen=_MOST_LINES)
        base = self.environ | _QUIET | dict(more or {})
        environ = git_environment(base, _credential_config(self.remote) if credential else ())
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
        if may_fail and code == 1:
            return []
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
