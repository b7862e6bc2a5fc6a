"""A run's workspace: a fresh clone, the agent's commits in it, and the push.

The run's directory contains two repositories. `origin.git` is this process's own: only it fetches and pushes with the
run's credential, and no command of a driver sees it. The driver works in `repository`, a clone of it that shares no
file with it. A driver's commands may change that repository's configuration, so git in it is confined, has no network,
and never gets the credential; what goes from one repository to the other goes in a bundle. Hooks never run in either.
The credential is only in the environment of single git commands.

A checkpoint is a commit that is made beside the driver: from an index of its own, without moving HEAD. It is pushed, so
the run's last commit must contain it: whatever the driver did to its own history, `commit_all` adds what was pushed as
a parent, and keeps the driver's files.

    <run directory>/origin.git    <run directory>/repository    <run directory>/home    <run directory>/session
    <run directory>/scratch: the driver's /tmp
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import ProviderRefused, ProviderUnavailable
from common.machine.git.environment import identity
from common.machine.processes.children import base_environment
from common.values.runs.claimed_run import Clone
from workers.runner.processes.cancellation import Cancellation
from workers.runner.processes.commands import kill_all_below
from workers.runner.processes.leftovers import remove_run
from workers.runner.processes.run_confinement import CommandSandbox, Confinement
from workers.runner.workspace.committed_files import committed_text
from workers.runner.workspace.files import copy_out, large_files, unlink_git_locks
from workers.runner.workspace.first_checkout import RULES, check_out
from workers.runner.workspace.run_git import FIRST, RunGit, object_name, verify
from workers.runner.workspace.staging import Nested, add_all, add_unconverted, as_they_are, find_nested, left_out
from workers.sandbox.limits import SandboxLimits

UNFINISHED = "Unfinished: yes"
"""The trailer of a checkpoint's commit message."""
IDENTITY = identity("AI agent", "agent@aiworker.invalid")

_CHECKPOINT = "refs/aiworker/checkpoint"
"""In origin.git: what this run pushed last or tried to, at first the branch's head."""
_BROUGHT = "refs/aiworker/head"
"""In either repository, for a moment: what is carried to origin.git."""
_LARGEST_INDEX_BYTES = 2**30
_MOST_LEFT_ALONE = 1000


@dataclass(frozen=True)
class _Found:
    """SHAs of what a commit is made of. tree: of the files. head: None on a branch without a commit. pushed: what this
    run pushed last. merged: what an unfinished merge merges.
    """

    tree: str
    head: str | None
    head_tree: str | None
    pushed: str
    pushed_tree: str
    merged: tuple[str, ...]


@dataclass(frozen=True)
class Workspace:
    """One run's directory. Created by `clone`, deleted by `remove`.

    variables: added to `environ`. on_left_out: called for each commit with the paths that git could not add to it.
    """

    directory: Path
    remote: Clone
    cancellation: Cancellation
    confinement: Confinement
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    on_left_out: Callable[[Sequence[str]], None] = lambda paths: None

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
    def scratch(self) -> Path:
        return self.directory / "scratch"

    @property
    def environ(self) -> dict[str, str]:
        """The whole environment of a driver's commands. Contains no token."""
        # Where nothing confines git, it would take a repository around this one once the driver has removed its own.
        ceiling = {"GIT_CEILING_DIRECTORIES": str(self.directory)}
        return base_environment(self.home) | IDENTITY | ceiling | dict(self.variables)

    def command_sandbox(self, *, readable: Sequence[Path] = (), hidden: Sequence[str] = ()) -> CommandSandbox:
        """Where a driver's commands are started. readable: what they need of this machine. hidden: paths of the working
        tree that they must not see.
        """
        sandbox_limits = SandboxLimits(
            home=self.home,
            scratch=self.scratch,
            writable=(self.path,),
            readable=(self.attachments_dir, *readable),
            hidden=tuple(self.path / name for name in hidden),
        )
        return self.confinement.for_programs(sandbox_limits)

    def clone(self) -> None:
        """Recreate the directory, with the run's branch checked out, or its commit. Safe to repeat.

        Raises ProviderUnavailable if the forge is unavailable, ProviderRefused if it refuses, or has no such branch or
        commit.
        """
        self.remove()
        for directory in (self.directory, self.home, self.session_dir, self.scratch):
            directory.mkdir(mode=0o700, parents=True)
        # A fetch would make a file of each branch, of which there is one for each task that ever was: a clone makes one
        # file of all of them.
        whole = ["clone", "--quiet", "--bare", "--no-tags", "--no-local", "--template=", "--"]
        self._git.at_forge([*whole, self.remote.url, str(self._mirror)], self.directory)
        branch = self.remote.branch
        self._git.require_bounded(self._mirror, f"refs/heads/{branch}")
        # Not confined: nobody has changed the configuration of either yet. Without hard links, by which a driver could
        # change the files of origin.git.
        clone = ["clone", "--quiet", "--no-checkout", "--no-hardlinks", "--template=", "--branch", branch, "--"]
        at = ["-C", str(self.path)]
        commands = [[*clone, str(self._mirror), str(self.path)], [*at, "read-tree", "HEAD"], [*at, *RULES]]
        has_rules = bool(self._git.run(commands, self.directory, command_sandbox=None))
        self._ours(["update-ref", _CHECKPOINT, f"refs/heads/{branch}"])
        check_out(
            self.path, [branch] if self.remote.commit is None else ["--detach", self.remote.commit],
            has_rules=has_rules, git=lambda *words: self._git.run(words, self.path, command_sandbox=None),
            confined=self._here, sleep=self.cancellation.sleep,
        )  # fmt: skip

    def head(self) -> str:
        """Return the SHA of HEAD in the working tree."""
        return object_name(self._here(["rev-parse", "--verify", "HEAD^{commit}"]))

    def head_and_message(self) -> tuple[str, str]:
        """Return the SHA of HEAD in the working tree, and its whole commit message."""
        (), head, message = self._answers(verify("HEAD^{commit}"), ["log", "-1", "--format=%B", "HEAD", "--"])
        return object_name(head), "\n".join(message)

    def committed_text(self, name: str, *, commit: str = "HEAD") -> str:
        """Return the text of a file at a commit; empty if there is none. name: its path in the working tree."""
        with contextlib.suppress(OSError), self._exchange() as folder:
            return committed_text(f"{commit}:{name}", self.path, folder, self._here)
        return ""

    def leave_alone(self, names: Sequence[str]) -> None:
        """Make git in the clone take the files below these paths for unchanged: the driver does not see them."""
        there = [name for name in names if os.path.lexists(self.path / name)]
        known = self._here(["ls-files", "--", *there]) if there else []
        # Git quotes a name with a character that a line can't have; a driver's commit may then remove that file.
        if plain := [name for name in known if not name.startswith('"')][:_MOST_LEFT_ALONE]:
            self._here(["update-index", "--skip-worktree", "--", *plain])

    def commit_all(self, message: str) -> str | None:
        """Commit everything that differs from HEAD; returns the commit's SHA, None if nothing differs.

        The commit contains what this run pushed before. An unfinished merge is committed too, even with conflict
        markers: the platform's checks will find them. HEAD and its index are moved to the commit.
        """
        self.end_commands()
        found = self._find()
        parents = self._parents(found)
        is_same = parents == [found.head] and found.tree == found.head_tree and not found.merged
        if is_same and UNFINISHED not in self.head_and_message()[1].splitlines():
            return None
        parents += [it for it in found.merged if it not in parents]
        return self._commit(found.tree, parents, message, ["reset", "--quiet", "--mixed", FIRST])

    def commit_aside(
        self, message: str, *, largest_file_bytes: int | None = None, with_files: bool = True
    ) -> str | None:
        """Commit the files as they are without moving HEAD or its index; None if the branch has all of it already.

        Returns HEAD itself if it has everything. Safe while the driver works. Raises ProviderRefused or CutShort if a
        file changes at the wrong moment. largest_file_bytes: larger files are left out; None: none is. with_files: if
        not, only what the driver committed itself.
        """
        found = self._find(largest_file_bytes, with_files=with_files)
        parents = self._parents(found)
        if parents == [found.pushed] and found.tree == found.pushed_tree:
            return None
        if parents == [found.head] and found.tree == found.head_tree:
            return found.head
        return self._commit(found.tree, parents, message)

    def push_aside(self, commit: str) -> bool:
        """Push a commit of `commit_aside`; False if somebody else moved the branch. Raises as `push`."""
        before = self._pushed()
        self._bring(commit, before)
        # Before the push, as its answer may be lost: the next commit then contains this one in any case.
        self._ours(["update-ref", _CHECKPOINT, commit])
        try:
            return self._push(commit)
        except ProviderUnavailable:
            raise
        except ProviderRefused:
            self._ours(["update-ref", _CHECKPOINT, before])
            raise

    def push(self, head: str | None = None) -> str:
        """Push HEAD of the working tree to the branch at the forge; returns its SHA. Safe to repeat.

        head: its SHA, if that is known. If somebody else moved the branch, their commits are merged in once. Raises
        ProviderUnavailable if the forge is unavailable, and ProviderRefused if it refuses, if that merge conflicts, or
        if the branch moves again.
        """
        head = head or self.head()
        if self._push_head(head):
            return head
        self._fetch()
        branch = self.remote.branch
        self._take(f"refs/heads/{branch}", as_fetched=True)
        try:
            self._here(["merge", "--quiet", "--no-edit", "--no-verify", "FETCH_HEAD"])
        except ProviderRefused as error:
            raise ProviderRefused(
                f"somebody else pushed to {branch}, and their commits conflict with those of this run", code="diverged"
            ) from error
        head = self.head()
        if not self._push_head(head):
            raise ProviderRefused(f"{branch} was moved twice while this run pushed it", code="diverged")
        return head

    def end_commands(self) -> None:
        """Kill what is left of the driver, and remove the locks that a killed git of it leaves. Safe to repeat."""
        kill_all_below(self.home)
        unlink_git_locks(self.path)

    def remove(self) -> None:
        """Kill the run's processes and delete its directory. Safe to repeat."""
        remove_run(self.directory)

    @property
    def _mirror(self) -> Path:
        return self.directory / "origin.git"

    @property
    def _git(self) -> RunGit:
        return RunGit(self.remote, self.cancellation, self.environ)

    def _here(
        self,
        *commands: Sequence[str],
        writable: Sequence[Path] = (),
        more: Mapping[str, str] | None = None,
        may_fail: bool = False,
    ) -> list[str]:
        """Run git in the clone, confined. See RunGit.run. writable: what it needs beside the clone."""
        return self._git.run(
            commands, self.path, command_sandbox=self._git_sandbox(writable), more=more, may_fail=may_fail
        )

    def _answers(
        self,
        *questions: Sequence[str],
        after: Sequence[Sequence[str]] = (),
        writable: Sequence[Path] = (),
        more: Mapping[str, str] | None = None,
    ) -> list[list[str]]:
        """Run git in the clone, confined. See RunGit.answers."""
        return self._git.answers(
            questions, self.path, command_sandbox=self._git_sandbox(writable), after=after, more=more
        )

    def _git_sandbox(self, writable: Sequence[Path]) -> CommandSandbox:
        return self.confinement.for_git(SandboxLimits(home=self.home, writable=(self.path, *writable)))

    def _ours(self, arguments: Sequence[str], *, may_fail: bool = False) -> list[str]:
        """Run git in origin.git, which no confined command has seen."""
        return self._git.run([arguments], self._mirror, command_sandbox=None, may_fail=may_fail)

    def _fetch(self) -> None:
        fetch = ["fetch", "--quiet", "--no-tags", "--prune", "--no-recurse-submodules", "--", self.remote.url]
        self._git.at_forge([*fetch, "+refs/heads/*:refs/heads/*"], self._mirror)

    def _push_head(self, head: str) -> bool:
        self._bring(head, self._pushed())
        return self._push(head)

    def _push(self, what: str) -> bool:
        """Push from origin.git; False if the branch at the forge has commits that `what` lacks."""
        target = f"{what}:refs/heads/{self.remote.branch}"
        try:
            self._git.at_forge(["push", "--quiet", "--porcelain", "--", self.remote.url, target], self._mirror)
        except ProviderRefused as error:
            if any(word in error.message for word in ("non-fast-forward", "fetch first", "needs force")):
                return False
            raise
        return True

    # From one repository to the other

    def _bring(self, commit: str, pushed: str) -> None:
        """Copy a commit of the clone, with all that it contains, into origin.git. pushed: what both have."""
        if self._ours(["rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"], may_fail=True):
            return
        with self._exchange() as folder:
            bundle = folder / "bundle"
            self._here(
                ["update-ref", _BROUGHT, commit],
                ["bundle", "create", "--quiet", str(bundle), _BROUGHT, f"^{pushed}"],
                ["update-ref", "-d", _BROUGHT],
                writable=[folder],
            )
            if not stat.S_ISREG(bundle.lstat().st_mode):
                raise ProviderRefused("git in the clone wrote no bundle", code="git_failed")
            self._ours(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", str(bundle),
                        f"+{_BROUGHT}:{_BROUGHT}"])  # fmt: skip

    def _take(self, ref: str, *, as_fetched: bool) -> None:
        """Copy what a ref of origin.git contains into the clone. as_fetched: FETCH_HEAD names it there."""
        with self._exchange() as folder:
            bundle = folder / "bundle"
            self._ours(["bundle", "create", "--quiet", str(bundle), ref])
            option = "--write-fetch-head" if as_fetched else "--no-write-fetch-head"
            self._here(["fetch", "--quiet", "--no-tags", option, "--", str(bundle), ref], writable=[folder])

    @contextlib.contextmanager
    def _exchange(self) -> Iterator[Path]:
        """A new folder for files that confined git and this process share. No other command ever sees it."""
        folder = Path(tempfile.mkdtemp(prefix="exchange-", dir=self.directory))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    # Commits

    def _find(self, largest_file_bytes: int | None = None, *, with_files: bool = True) -> _Found:
        """Write the files of the working tree, without those that are ignored, as a tree, and look at what is there.

        Files in repositories within it are among them (see staging). with_files: if not, the tree is that of HEAD, or
        of what was pushed on a branch without a commit. Afterwards the clone has what this run pushed last.
        """
        pushed = self._pushed()
        with self._exchange() as folder:
            index = folder / "index"
            # With what git knows of the files there, only those that changed are read.
            # Its time must stay: files that changed within the same moment are found by it.
            copy_out(self.path, ".git/index", index, most_bytes=_LARGEST_INDEX_BYTES)
            large = [] if largest_file_bytes is None else large_files(self.path, largest_file_bytes)
            nested = find_nested(self.path, self._answers) if with_files else Nested()

            def add(raw: Mapping[str, str]) -> list[list[str]]:
                files = add_all(folder / "paths", [*large, *nested.finished, *raw])
                steps = [*nested.before(pushed), *as_they_are(raw), files, *nested.after(), ["write-tree"]]
                return self._answers(
                    verify("HEAD^{commit}"), verify("HEAD^{tree}"), verify(f"{pushed}^{{tree}}"), verify("MERGE_HEAD"),
                    after=steps if with_files else [], writable=[folder], more={"GIT_INDEX_FILE": str(index)},
                )  # fmt: skip

            added, head, head_tree, pushed_tree, merged = add_unconverted(self.path, add, self._here)
        if not pushed_tree:
            self._take(_CHECKPOINT, as_fetched=False)
            pushed_tree = self._here(verify(f"{pushed}^{{tree}}"))
        self.on_left_out(left_out(added))
        tree = added if with_files else head_tree or pushed_tree
        return _Found(
            object_name(tree), object_name(head) if head else None, object_name(head_tree) if head_tree else None,
            pushed, object_name(pushed_tree), tuple(object_name([it]) for it in merged),
        )  # fmt: skip

    def _pushed(self) -> str:
        """What this run pushed last."""
        (pushed,) = self._ours(verify(_CHECKPOINT))
        return pushed

    def _parents(self, found: _Found) -> list[str]:
        """The fewest parents of a commit that contains HEAD and what was pushed."""
        head, pushed = found.head, found.pushed
        if head is None or head == pushed:
            return [pushed]
        # Unlike `rev-list head ^pushed`, this heeds no times: a clock that was set back makes those of commits wrong.
        (), independent = self._answers(["merge-base", "--independent", head, pushed])
        return [it for it in (pushed, head) if it in independent]

    def _commit(self, tree: str, parents: Sequence[str], message: str, *following: Sequence[str]) -> str:
        """Returns the commit's SHA. following: further commands, in which FIRST is the commit."""
        options = [word for parent in parents for word in ("-p", parent)]
        commit = ["commit-tree", "--no-gpg-sign", *options, "-m", message, tree]
        return object_name(self._here(commit, *following))
