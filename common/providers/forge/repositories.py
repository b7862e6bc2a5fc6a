"""Making and removing the local forge's bare repositories on disk.

A repository appears at its place in one step, complete: it is built beside it, and renamed. Whatever a process that
died half-way left behind is cleared away by the next one. One lock for each name keeps two from building at once.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from common.errors import CutShort, ProviderRefused, ProviderUnavailable
from common.machine import git_trees
from common.machine.files import replace_file, sync_directory
from common.machine.text import storable
from common.machine.waiting import Deadline
from common.names import RELEASE_PREFIX, STAGING_BRANCH, TAG_PREFIX
from common.providers.forge import git, history
from common.providers.forge.import_address import resolve_import_address
from common.providers.forge.records import at_work
from common.values.repository import Repository

IMPORT_SECONDS = 540.0
HOOKS_DIRECTORY = ".hooks"
"""Beside the owners' directories in the forge's own: no owner's name holds a dot."""
CLEAR_SECONDS = 5.0
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
"""


@contextlib.contextmanager
def building(path: Path) -> Iterator[None]:
    """Hold the one right to make or remove the repository at `path`, having cleared what was left half-done."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with at_work(_lock(path)):
        for leftover in path.parent.glob(f".*.{path.name}"):
            _clear(leftover)
        yield


def forget_lock(path: Path) -> None:
    """Remove the lock file of a repository that is gone. Only for the holder of `building`; see locks.locked."""
    _lock(path).unlink(missing_ok=True)


def _lock(path: Path) -> Path:
    return path.parent / f".{path.stem}.lock"


def _clear(leftover: Path) -> None:
    """Remove what a dead process left. Its git may have children that write for a moment longer: they are outwaited.

    What still resists is left to whoever comes next; nothing is ever built in its place.
    """
    deadline = Deadline(CLEAR_SECONDS)
    while leftover.exists():
        shutil.rmtree(leftover, ignore_errors=True)
        if deadline.is_over:
            return
        time.sleep(0.02)


def create(path: Path, repository: Repository, *, default_branch: str, description: str, import_url: str | None,
           allow: tuple[str, ...]) -> None:  # fmt: skip
    """Build the repository and put it in its place. The caller holds `building`."""
    # No repository's name holds a dot, so this can't be the leftover of another one.
    temporary = path.parent / f".{secrets.token_hex(4)}.{path.name}"
    git.run(None, "init", "--quiet", "--bare", "--template=", f"--initial-branch={default_branch}", str(temporary))
    configure(temporary)
    records = temporary / "aiworker"
    (records / "statuses").mkdir(parents=True)
    replace_file(records / "project_id", repository.project_id.encode(), has_rivals=True)
    if import_url is not None:
        _import(temporary, import_url, allow, default_branch)
    complete(temporary, title=repository.name, description=description)
    if import_url is not None:
        history.require_bounded(temporary, history.required_head(temporary, head_ref(temporary)))
    os.rename(temporary, path)
    sync_directory(path.parent)


def push_check(root: Path, *, max_file_bytes: int) -> tuple[tuple[str, str], dict[str, str]]:
    """The git configuration and the environment with which a push is checked before any of its refs is visible.

    The check is common/machine/git_trees.py, run by git as its pre-receive hook out of the forge's own directory.
    Whatever hook lies in a repository stays unused. ProviderUnavailable where the hook can't be executed: git would
    pass it over.
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
        "PUSH_CHECK": str(Path(git_trees.__file__).resolve()),
        git_trees.FILE_BYTES_VARIABLE: str(max_file_bytes),
    }
    return ("core.hooksPath", str(hook.parent.absolute())), environment


def configure(path: Path) -> None:
    """The repository has the platform's configuration, and no other."""
    config = path / "config"
    if config.read_text(encoding="utf-8", errors="replace") != _CONFIG:
        replace_file(config, _CONFIG.encode(), has_rivals=True)


def complete(path: Path, *, title: str, description: str) -> None:
    """The branch that HEAD names has a commit: a README.md where it had none."""
    ref = head_ref(path)
    if git.run(path, "for-each-ref", ref).stdout:
        return
    readme = f"# {title}\n" + (f"\n{description.strip()}\n" if description.strip() else "")
    blob = git.run(path, "hash-object", "-w", "--stdin", stdin=storable(readme).encode()).line
    tree = git.run(path, "mktree", stdin=f"100644 blob {blob}\tREADME.md\n".encode()).line
    commit = git.run(path, "commit-tree", tree, stdin=b"Start the repository\n").line
    git.run(path, "update-ref", "--no-deref", ref, commit, git.ZERO_SHA)


def head_ref(path: Path) -> str:
    """The fully qualified ref of the default branch."""
    return git.run(path, "symbolic-ref", "HEAD").line


def remove(path: Path) -> None:
    """It is gone. Renamed first, so that nobody meets half of it. The caller holds `building`, whose lock goes too."""
    grave = path.parent / f".{secrets.token_hex(4)}.{path.name}"
    os.rename(path, grave)
    sync_directory(path.parent)
    shutil.rmtree(grave)
    forget_lock(path)


def _import(path: Path, url: str, allow: tuple[str, ...], default_branch: str) -> None:
    """All branches and tags of the address, and HEAD on the wanted branch or else on the source's own."""
    deadline = Deadline(IMPORT_SECONDS)
    pin = resolve_import_address(url, allow)
    config = [
        ("protocol.allow", "never"),
        ("protocol.http.allow", "always"),
        ("protocol.https.allow", "always"),
        # A redirect would lead past the check of the address; this also keeps git from following alternates.
        ("http.followRedirects", "false"),
        ("http.lowSpeedLimit", "1000"),
        ("http.lowSpeedTime", "60"),
        ("fetch.fsckObjects", "false"),
        ("gc.auto", "0"),
    ]
    if pin is not None:
        config.append(("http.curloptResolve", pin))
    refspecs = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
    options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--end-of-options")
    listed = _import_step(path, deadline, config, "ls-remote", "--symref", "--end-of-options", url, "HEAD")
    _import_step(path, deadline, config, "fetch", *options, url, *refspecs)
    branches = git.run(path, "for-each-ref", "--format=%(refname)", "refs/heads/").line.splitlines()
    if not branches or git.branch_ref(default_branch) in branches:
        return
    named = re.search(r"^ref: (refs/heads/\S+)\tHEAD$", listed, re.MULTILINE)
    if named is None or named[1] not in branches:
        raise ProviderRefused(
            f"the imported repository has no branch {default_branch}, and its HEAD names none", code="import_failed"
        )
    git.run(path, "symbolic-ref", "HEAD", named[1])


def _import_step(path: Path, deadline: Deadline, config: list[tuple[str, str]], *arguments: str) -> str:
    try:
        answer = git.run(path, *arguments, accept=(), timeout_seconds=max(deadline.left_seconds, 0.001), config=config)
    except CutShort as error:
        if not deadline.is_over:
            raise
        # Another attempt would take as long: it is for a person to decide.
        raise ProviderRefused(
            f"the import did not end within {IMPORT_SECONDS:g} s and was stopped", code="import_failed"
        ) from error
    if answer.code == 0:
        return answer.line
    if _SERVER_TROUBLE.search(answer.stderr):
        raise ProviderUnavailable(f"the server to import from has trouble: {answer.reason}")
    raise ProviderRefused(f"the address can't be cloned: {answer.reason}", code="import_failed")
