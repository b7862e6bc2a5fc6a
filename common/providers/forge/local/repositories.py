"""Create and remove the local forge's bare repositories on disk.

A repository is built in a temporary directory beside its path and then renamed, so it appears complete. The next
process removes what a killed process left. A lock per repository name keeps two processes from building at once.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import structlog

from common.errors import CutShort, ProviderRefused, ProviderUnavailable
from common.machine.files import replace_file, sync_directory
from common.machine.git import checkout_sizes
from common.machine.text import path_text, storable
from common.machine.waiting import Deadline
from common.providers.forge import git, history
from common.providers.forge.import_address import import_proxy, resolve_import_address
from common.providers.forge.local.records import exclusive
from common.values.names import RELEASE_PREFIX, STAGING_BRANCH, TAG_PREFIX, numbered
from common.values.repository import Repository

log = structlog.get_logger()

IMPORT_SECONDS = 540.0
HOOKS_DIRECTORY = ".hooks"
"""Lies beside the owners' directories. No clash is possible: an owner's name contains no dot."""
CLEAR_SECONDS = 5.0
_PLATFORM_REFS = (
    f"refs/heads/{STAGING_BRANCH}", f"refs/heads/{RELEASE_PREFIX.rstrip('/')}", f"refs/tags/{TAG_PREFIX.rstrip('/')}",
)  # fmt: skip
"""The platform's branches and tags, and what is below them."""
_SERVER_TROUBLE = re.compile(r"error: (5\d\d|429)\b")

_PUSH_HOOK = """\
#!/bin/sh
# Written by AiWorker, and written anew when it differs. Git runs it for every push, before any ref moves.
exec "$PUSH_CHECK_PYTHON" -I -S "$PUSH_CHECK"
"""
_CONFIG = f"""\
# Written by AiWorker, and written anew when it differs.
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
\thooksPath = /dev/null
\tfsync = committed
[transfer]
\tbundleURI = false
[uploadpack]
\tallowAnySHA1InWant = true
\tallowFilter = true
[receive]
\tdenyDeletes = true
\tfsckObjects = true
\thideRefs = refs/heads/{STAGING_BRANCH}
\thideRefs = refs/heads/{RELEASE_PREFIX.rstrip("/")}
\thideRefs = refs/tags/{TAG_PREFIX.rstrip("/")}
[receive "fsck"]
\tzeroPaddedFilemode = warn
\tbadTimezone = warn
\tmissingSpaceBeforeDate = warn
\tmissingEmail = warn
\tmissingSpaceBeforeEmail = warn
\tmissingNameBeforeEmail = warn
\tbadEmail = warn
\tbadDate = warn
\tbadDateOverflow = warn
\tzeroPaddedDate = warn
"""


@contextlib.contextmanager
def repository_lock(path: Path) -> Iterator[None]:
    """Hold the lock for creating or removing the repository at `path`. First removes leftovers of killed processes."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with exclusive(_lock(path)):
        for leftover in path.parent.glob(f".*.{path.name}"):
            _clear(leftover)
        yield


def forget_lock(path: Path) -> None:
    """Remove the lock file of a removed repository. The caller holds `repository_lock`; see locks.locked."""
    _lock(path).unlink(missing_ok=True)


def _lock(path: Path) -> Path:
    return path.parent / f".{path.stem}.lock"


def _clear(leftover: Path) -> None:
    """Remove a directory that a killed process left. Retries for a while: children of its git may still write there.

    Gives up silently after CLEAR_SECONDS; the next `repository_lock` tries again. The directory itself is never reused.
    """
    deadline = Deadline(CLEAR_SECONDS)
    while leftover.exists():
        shutil.rmtree(leftover, ignore_errors=True)
        if deadline.is_over:
            return
        time.sleep(0.02)


def create(path: Path, repository: Repository, *, default_branch: str, description: str, import_url: str | None,
           allow: tuple[str, ...], files: Mapping[str, str] | None = None,
           login: Sequence[tuple[str, str]] = ()) -> None:  # fmt: skip
    """Build the repository and move it to its path. The caller holds `repository_lock`.

    login: git's configuration for reading import_url; with one, its address is trusted as the operator chose it.
    """
    # A repository's name contains no dot, so this name matches leftovers of this repository only.
    temporary = path.parent / f".{secrets.token_hex(4)}.{path.name}"
    git.run(None, "init", "--quiet", "--bare", "--template=", f"--initial-branch={default_branch}", str(temporary))
    configure(temporary)
    records = temporary / "aiworker"
    (records / "statuses").mkdir(parents=True)
    replace_file(records / "project_id", repository.project_id.encode(), has_rivals=True)
    if import_url is not None:
        _import(temporary, import_url, allow, default_branch, login)
    complete(temporary, title=repository.name, description=description, files=files)
    if import_url is not None:
        history.require_bounded(temporary, history.required_head(temporary, head_ref(temporary)))
    os.rename(temporary, path)
    sync_directory(path.parent)


def push_check(root: Path, *, max_file_bytes: int) -> tuple[tuple[str, str], dict[str, str]]:
    """Return a git configuration setting and the environment that make git check a push before it moves any ref.

    The check is common/machine/git/checkout_sizes.py, run by a pre-receive hook in a directory of the forge. Hooks
    inside repositories are not used. Raises ProviderUnavailable if the hook can't be executed, because git would skip
    it.
    """
    hook = root / HOOKS_DIRECTORY / "pre-receive"
    try:
        is_right = hook.read_text(encoding="utf-8", errors="replace") == _PUSH_HOOK
    except FileNotFoundError:
        is_right = False
    if not (is_right and os.access(hook, os.X_OK)):
        hook.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(hook, _PUSH_HOOK.encode(), mode=0o700, has_rivals=True)
        if not os.access(hook, os.X_OK):
            raise ProviderUnavailable(f"pushes can't be checked: {hook} can't be executed; mount it without noexec")
    environment = {
        "PUSH_CHECK_PYTHON": sys.executable,
        "PUSH_CHECK": str(Path(checkout_sizes.__file__).resolve()),
        checkout_sizes.FILE_BYTES_VARIABLE: str(max_file_bytes),
    }
    return ("core.hooksPath", str(hook.parent.absolute())), environment


def configure(path: Path) -> None:
    """Replace the repository's configuration with the platform's, if it differs."""
    config = path / "config"
    if config.read_text(encoding="utf-8", errors="replace") != _CONFIG:
        replace_file(config, _CONFIG.encode(), has_rivals=True)


def complete(path: Path, *, title: str, description: str, files: Mapping[str, str] | None = None) -> None:
    """Give the branch of HEAD a first commit with the files (None: a README.md), if it has no commit.

    files: name in the root → text.
    """
    ref = head_ref(path)
    if git.run(path, "for-each-ref", ref).stdout:
        return
    if files is None:
        files = {"README.md": f"# {title}\n" + (f"\n{description.strip()}\n" if description.strip() else "")}
    entries = ""
    for name, text in files.items():
        blob = git.run(path, "hash-object", "-w", "--stdin", stdin=storable(text).encode()).line
        entries += f"100644 blob {blob}\t{name}\n"
    tree = git.run(path, "mktree", stdin=entries.encode()).line
    commit = git.run(path, "commit-tree", tree, stdin=b"Start the repository\n").line
    git.run(path, "update-ref", "--no-deref", ref, commit, git.ZERO_SHA)


def head_ref(path: Path) -> str:
    """Return the full ref of the default branch."""
    return git.run(path, "symbolic-ref", "HEAD").line


def remove(path: Path) -> None:
    """Remove the repository and its lock file. It is renamed first, so that nobody sees it half removed.

    The caller holds `repository_lock`.
    """
    removed = path.parent / f".{secrets.token_hex(4)}.{path.name}"
    os.rename(path, removed)
    sync_directory(path.parent)
    shutil.rmtree(removed)
    forget_lock(path)


def _import(
    path: Path, url: str, allow: tuple[str, ...], default_branch: str, login: Sequence[tuple[str, str]]
) -> None:
    """Fetch all branches and tags of the address. HEAD is default_branch if it was fetched, else the source's HEAD.

    Branches and tags in the place of the platform's own get other names: see `_make_room`.
    """
    deadline = Deadline(IMPORT_SECONDS)
    proxy = None if login else import_proxy(url, allow)
    pin = None if login else resolve_import_address(url, allow, is_proxied=proxy is not None)
    config = [
        *login,
        ("protocol.allow", "never"),
        ("protocol.http.allow", "always"),
        ("protocol.https.allow", "always"),
        # A redirect would bypass the check of the address; this also keeps git from following alternates.
        ("http.followRedirects", "false"),
        ("http.lowSpeedLimit", "1000"),
        ("http.lowSpeedTime", "60"),
        ("fetch.fsckObjects", "false"),
        ("gc.auto", "0"),
    ]
    if pin is not None:
        config.append(("http.curloptResolve", pin))
    if proxy is not None:
        config.append(("http.proxy", proxy))
    refspecs = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
    options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--end-of-options")
    listed = _import_step(path, deadline, config, "ls-remote", "--symref", "--end-of-options", url, "HEAD")
    _import_step(path, deadline, config, "fetch", *options, url, *refspecs)
    branches = _refs(path, "refs/heads/")
    _make_room(path)
    if not branches or git.branch_ref(default_branch) in branches:
        return
    named = re.search(r"^ref: (refs/heads/\S+)\tHEAD$", listed, re.MULTILINE)
    if named is None or named[1] not in branches:
        raise ProviderRefused(
            f"the imported repository has no branch {default_branch}, and its HEAD points at no branch",
            code="import_failed",
        )
    if _is_in_the_way(named[1], _PLATFORM_REFS):
        raise ProviderRefused(
            f"the HEAD of the imported repository is {named[1].removeprefix('refs/heads/')}, a name for the platform's "
            "own branches: name another of its branches as the default branch",
            code="import_failed",
        )
    git.run(path, "symbolic-ref", "HEAD", named[1])


def _make_room(path: Path) -> None:
    """Rename the imported refs `x` that are in the way of the platform's to `imported/x` (`imported-2/x`, … if there
    is such a branch or tag already). The platform moves its own branches by force.
    """
    refs = _refs(path)
    moved = [ref for ref in refs if _is_in_the_way(ref, _PLATFORM_REFS)]
    if not moved:
        return
    number = 1
    while any(_is_in_the_way(ref, _places(numbered("imported", number))) for ref in refs):
        number += 1
    prefix, steps = numbered("imported", number), ""
    for ref in moved:
        kind, name = ref.removeprefix("refs/").split("/", 1)
        steps += f"create refs/{kind}/{prefix}/{name} {refs[ref]}\ndelete {ref} {refs[ref]}\n"
    git.run(path, "update-ref", "--no-deref", "--stdin", stdin=steps.encode("utf-8", "surrogateescape"))
    shown = [path_text(ref) for ref in moved]
    log.warning("imported refs got other names, as theirs are the platform's", refs=shown, prefix=prefix)


def _refs(path: Path, below: str = "refs/") -> dict[str, str]:
    """Ref → what it points at. A name may have spaces of Unicode; bytes that are not UTF-8 are lone surrogates."""
    listed = git.run(path, "for-each-ref", "--format=%(objectname) %(refname)", below).stdout
    lines = listed.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")
    return {ref: sha for sha, _, ref in (line.partition(" ") for line in lines if line)}


def _places(name: str) -> tuple[str, str]:
    return f"refs/heads/{name}", f"refs/tags/{name}"


def _is_in_the_way(ref: str, places: Sequence[str]) -> bool:
    """Whether the ref is one of these, or below one: git can't store `release` beside `release/x`."""
    return any(ref == place or ref.startswith(f"{place}/") for place in places)


def _import_step(path: Path, deadline: Deadline, config: list[tuple[str, str]], *arguments: str) -> str:
    try:
        answer = git.run(path, *arguments, accept=(), timeout_seconds=max(deadline.left_seconds, 0.001), config=config)
    except CutShort as error:
        if not deadline.is_over:
            raise
        # Another attempt would take as long, so a person decides.
        raise ProviderRefused(
            f"the import did not end within {IMPORT_SECONDS:g} s and was stopped", code="import_failed"
        ) from error
    if answer.code == 0:
        return answer.line
    if _SERVER_TROUBLE.search(answer.stderr):
        raise ProviderUnavailable(f"the server to import from reported an error: {answer.reason}")
    raise ProviderRefused(f"the address can't be cloned: {answer.reason}", code="import_failed")
