"""Local mirror of a repository on Gitea: fetch and push over HTTP with the platform's token.

The cache directory holds one bare mirror per repository; removing it costs one clone, and a damaged one is made anew.
Histories, diffs and merges are computed in the mirror. A branch moves by a push with the expected old head
(`--force-with-lease`), which the server's git executes as a compare-and-swap. The mirror keeps commits of deleted
branches. Its refs may be out of date, so heads are always read from the server.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import structlog

from common.errors import ProviderRefused, ProviderUnavailable
from common.machine.git.environment import basic_authorization
from common.machine.git.leftover_locks import forget_locks, forget_unfinished
from common.machine.locks import locked
from common.providers.forge import git, history
from common.providers.forge.gitea.retried_errors import ask_with_retries
from common.values.names import SHA_PATTERN

log = structlog.get_logger()

_FETCH_SECONDS = 300.0
_ASK_SECONDS = 30.0
_PACK_SECONDS = 120.0
_PACKING = (("gc.autoDetach", "false"), ("gc.bigPackThreshold", "256m"))
"""In the foreground, as only the lock's holder may write. Large packs stay as they are: the caller waits meanwhile."""
_REFSPECS = (
    "+refs/heads/*:refs/remotes/heads/*",
    "+refs/tags/*:refs/remotes/tags/*",
    "+refs/pull/*:refs/remotes/pull/*",
    "+refs/notes/*:refs/remotes/notes/*",
)
_NUDGE = "refs/heads/aiworker-was-here"
_UNKNOWN = re.compile(r"error: 40[13]\b|Authentication failed|could not read Username")
_DAMAGED = re.compile(
    r"^(?!remote:).*(did not send all necessary objects|bad object|bad config|packed-refs|object file .* is empty"
    r"|is corrupt|reference broken|unable to resolve reference|packfile .* (is far too short|cannot be accessed))",
    re.MULTILINE,
)
"""What git says of a mirror on a machine that lost power, or whose disk was full."""
_MOVED = re.compile(r"stale info|fetch first|failed to update ref|cannot lock ref|reference already exists")


class Mirror:
    """The mirror of one repository. path: its directory. url: the server's address, without user name or password.
    is_archived: the server takes no push."""

    def __init__(
        self, path: Path, url: str, *, username: str, token: str, name: str, is_archived: bool = False
    ) -> None:
        self.path = path
        self._url = url
        self._name = name
        self._is_archived = is_archived
        # Passed in git's environment, so that no list of processes shows the token; applies to this address only.
        self._config = (
            (f"http.{url}.extraHeader", basic_authorization(username, token)),
            ("http.followRedirects", "false"),
            ("http.lowSpeedLimit", "1000"),
            ("http.lowSpeedTime", "30"),
            ("protocol.allow", "never"),
            ("protocol.http.allow", "always"),
            ("protocol.https.allow", "always"),
            ("gc.auto", "0"),  # fetch() packs
        )

    def read_refs(self, *refs: str) -> dict[str, str]:
        """Return the commits of these refs on the server (annotated tags are peeled); refs that do not exist are left
        out."""
        asked = [name for ref in refs for name in (ref, f"{ref}^{{}}")]
        listed = self._remote(None, "ls-remote", "--quiet", "--end-of-options", self._url, *asked, timeout=_ASK_SECONDS)
        found: dict[str, str] = {}
        for line in listed.splitlines():
            sha, _, name = line.partition("\t")
            # The peeled entry of an annotated tag comes after the tag's own entry and replaces it.
            if name.removesuffix("^{}") in refs:
                found[name.removesuffix("^{}")] = sha
        return found

    def read_head(self, ref: str) -> str | None:
        return self.read_refs(ref).get(ref)

    def required_head(self, ref: str) -> str:
        head = self.read_head(ref)
        if head is None:
            branch = ref.removeprefix("refs/heads/")
            raise ProviderRefused(f"there is no branch {branch} in {self._name}", code="no_branch")
        return head

    def commit(self, sha: str) -> str:
        """Fetch the commit into the mirror, if needed, and return the same SHA.

        Raises ProviderRefused (`no_commit`) if the server does not have it.
        """
        if not SHA_PATTERN.fullmatch(sha):
            raise ProviderRefused(f"{sha!r} is not a full commit SHA", code="no_commit")
        if not self._has(sha):
            self.fetch()
        if not self._has(sha):
            raise ProviderRefused(f"there is no commit {sha} in {self._name}", code="no_commit")
        return sha

    def fetch(self) -> None:
        """Fetch all branches, tags, pull requests and notes of the server; creates the mirror if needed."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.path.parent / f".{self.path.stem}.lock"):
            # Only the holder of this lock writes here: what is left is of a git that was killed, or took too long.
            forget_locks(self.path)
            forget_unfinished(self.path)
            if not self.path.exists():
                self._make_empty().rename(self.path)
            try:
                self._fetch_into(self.path)
            except (_Damaged, ProviderRefused) as error:
                if isinstance(error, ProviderRefused) and error.code != "broken_repository":
                    raise
                log.warning("a damaged mirror is made anew", repository=self._name, reason=str(error))
                self._make_anew()
            self._pack()

    def _make_empty(self) -> Path:
        new = self.path.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        git.run(None, "init", "--quiet", "--bare", "--template=", str(new))
        return new

    def _make_anew(self) -> None:
        """Put a whole new mirror in place of this one. The lock must be held."""
        new, old = self._make_empty(), self.path.with_suffix(".old")
        self._fetch_into(new)
        shutil.rmtree(old, ignore_errors=True)
        self.path.rename(old)
        new.rename(self.path)
        shutil.rmtree(old, ignore_errors=True)

    def _fetch_into(self, path: Path) -> None:
        options = ("--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        self._remote(path, "fetch", *options, "--end-of-options", self._url, *_REFSPECS, timeout=_FETCH_SECONDS)

    def _pack(self) -> None:
        """Pack the mirror if git counts many packs or loose objects. Removes no object. The lock must be held.

        The mirror works without: a failure is logged, and the next fetch tries again.
        """
        try:
            git.run(self.path, "gc", "--auto", "--quiet", timeout_seconds=_PACK_SECONDS, config=_PACKING)
        except (ProviderRefused, ProviderUnavailable) as error:
            log.warning("a mirror can't be packed", repository=self._name, reason=str(error))

    def move(self, ref: str, *, new: str | None, old: str | None) -> bool:
        """Move the server's ref from `old` to `new` (None: delete it). Returns False if the ref is not at `old`.

        `new` must be in the mirror. Raises ProviderRefused (`protected`) if a rule of the server forbids the push.
        """
        lease = f"--force-with-lease={ref}:{old or ''}"
        answer = self._push(self.path, lease, self._url, f"{new or ''}:{ref}")
        if answer is None:
            return True
        if _MOVED.search(answer):
            found = self.read_head(ref)
            if found == new:
                return True
            if found != old:
                return False
        raise self._rejected(ref, answer)

    def has_branches(self, *patterns: str) -> bool:
        """Whether the server has a branch; with patterns (git's, of full refs), one that matches."""
        asked = ("ls-remote", "--quiet", "--heads", "--end-of-options", self._url, *patterns)
        return bool(self._remote(None, *asked, timeout=_ASK_SECONDS))

    def is_free(self, name: str) -> bool:
        """Whether the server has no branch of this name, which may be a pattern."""
        return not self.has_branches(f"refs/heads/{name}")

    def nudge(self, branch: str) -> None:
        """Make the server notice the repository's content, by creating and deleting a branch.

        If the server failed to process a push, it shows the repository as empty until the next push.
        """
        head = self.commit(self.required_head(f"refs/heads/{branch}"))
        self.move(_NUDGE, new=head, old=None)
        self.move(_NUDGE, new=None, old=head)

    def publish(self, source: Path) -> None:
        """Push every branch and tag of the bare repository `source`, by force."""
        rejected = self._push(source, self._url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        if rejected is not None:
            raise self._rejected("the import", rejected)

    def _has(self, sha: str) -> bool:
        if not (self.path / "HEAD").exists():
            return False
        try:
            return history.commit_at(self.path, sha) == sha
        except ProviderRefused:
            return False

    def _push(self, path: Path, *arguments: str) -> str | None:
        """Push; return None if all refs were accepted, else git's lines on the rejected refs."""
        # A push whose authentication failed has changed nothing, so it can be repeated.
        answer = ask_with_retries(
            lambda: git.run(
                path, "push", "--porcelain", "--no-verify", *arguments,
                accept=(), timeout_seconds=_FETCH_SECONDS, config=self._config,
            ),
            lambda answer, _before: answer.code != 0 and _UNKNOWN.search(answer.stderr) is not None,
        )  # fmt: skip
        if answer.code == 0:
            return None
        rejected = [line for line in answer.line.splitlines() if line.startswith("!")]
        if not rejected:
            raise self._trouble("push", answer)
        # The messages of the server's rules come as `remote:` lines.
        return "; ".join([*rejected, *(line for line in answer.stderr.splitlines() if line.startswith("remote:"))])

    def _rejected(self, ref: str, message: str) -> Exception:
        name = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
        if "Internal Server" in message:
            # The server's hook failed to ask the server whether the push is allowed.
            return ProviderUnavailable(f"the server could not take {name} of {self._name}: {message[:300]}")
        if "pre-receive hook declined" in message or "protected" in message:
            return ProviderRefused(
                f"the server's rules protect {name} in {self._name}: {message[:300]}", code="protected"
            )
        if "directory file conflict" in message or "exists; cannot create" in message:
            return history.ref_conflict(name, message)
        return ProviderUnavailable(f"{name} of {self._name} can't be moved: {message[:300]}")

    def _remote(self, path: Path | None, *arguments: str, timeout: float) -> str:
        """Run a git command that only reads from the server and return its output. Failures are retried."""
        answer = ask_with_retries(
            lambda: git.run(path, *arguments, accept=(), timeout_seconds=timeout, config=self._config),
            lambda answer, _before: answer.code != 0,
        )
        if answer.code != 0:
            raise self._trouble(arguments[0], answer)
        return answer.stdout.decode("utf-8", "replace")

    def _trouble(self, verb: str, answer: git.GitAnswer) -> Exception:
        if verb == "push" and self._is_archived:
            return ProviderRefused(
                f"the repository {self._name} is archived at the server, which takes no push: unarchive it there",
                code="archived",
            )
        if _UNKNOWN.search(answer.stderr):
            return ProviderRefused(
                f"the server refuses git {verb} of {self._name} with the platform's token; check GITEA_TOKEN",
                code="forbidden",
            )
        if re.search(r"error: 404\b|repository '.*' not found", answer.stderr):
            return ProviderRefused(f"there is no repository {self._name}", code="no_repository")
        kind = _Damaged if _DAMAGED.search(answer.stderr) else ProviderUnavailable
        return kind(f"git {verb} of {self._name} failed: {answer.reason}")


class _Damaged(ProviderUnavailable):
    """Git can't use the mirror as it is on disk."""
