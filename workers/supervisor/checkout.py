"""Clean checkouts of exact commits.

One bare mirror per project is fetched into; each checkout is a repository of its own that borrows the mirror's objects
and has no remote, no hooks and no credential. Git sees no configuration but what is given here, and the credential only
through its environment, never in an argument that every user of the machine can read.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from common.machine import git_trees
from common.machine.children import kill_group
from common.machine.git_limits import leash, met_limit, was_cut_short
from common.machine.git_locks import forget_locks
from common.machine.log_files import OutputTail
from common.values.repository import Source
from workers.commits import TRY_AGAIN_AFTER_SECONDS, checkout_environment, why_git_failed

GIT_SECONDS = 600
LAST_DELAY_SECONDS = 5.0
MOST_SAID_BYTES = 64 * 1024


class CheckoutFailed(Exception):
    """The commit could not be had. The message is a sentence without secrets."""


class TooLarge(CheckoutFailed):
    """The commit can't be checked out anywhere: trying again is of no use."""


class CutShort(CheckoutFailed):
    """The machine ended git, by a signal or for lack of room. It says nothing about the commit."""


class Checkouts:
    """Keeps the mirrors in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._locks: dict[str, asyncio.Lock] = {}
        self._mended: set[str] = set()

    async def make(self, project_id: str, source: Source, commit: str, to: Path) -> None:
        """Put the commit's files into the directory `to`, which is emptied first. Raises CheckoutFailed."""
        mirror = self._directory / f"{project_id}.git"
        await asyncio.to_thread(shutil.rmtree, to, ignore_errors=True)
        async with self._locks.setdefault(project_id, asyncio.Lock()):
            await self._ensure_mirror(project_id, mirror)
            if not await _has(mirror, commit):
                self._mended.discard(project_id)
                await _fetch(mirror, source, commit)
                self._mended.add(project_id)
        await _git("init", "--quiet", "--template=", str(to))
        alternates = to / ".git" / "objects" / "info" / "alternates"
        alternates.parent.mkdir(parents=True, exist_ok=True)
        alternates.write_text(f"{mirror / 'objects'}\n", encoding="utf-8")
        await _require_bounded(to / ".git", commit)
        inside = ("--git-dir", str(to / ".git"), "--work-tree", str(to))
        await _git(*inside, "checkout", "--quiet", "--force", "--detach", commit, inside=to / ".git")

    async def _ensure_mirror(self, project_id: str, mirror: Path) -> None:
        """It is there, whole; and what a git that was killed left locked in it is open again. Under its lock alone."""
        if mirror.exists() and project_id not in self._mended:
            await asyncio.to_thread(forget_locks, mirror)
        elif not mirror.exists():
            new = mirror.with_suffix(".new")
            await asyncio.to_thread(shutil.rmtree, new, ignore_errors=True)
            new.parent.mkdir(parents=True, exist_ok=True)
            await _git("init", "--quiet", "--bare", "--template=", str(new))
            new.rename(mirror)
        self._mended.add(project_id)

    def forget(self, project_id: str) -> None:
        """Remove the project's mirror. Blocks."""
        shutil.rmtree(self._directory / f"{project_id}.git", ignore_errors=True)
        self._locks.pop(project_id, None)
        self._mended.discard(project_id)


async def _require_bounded(git_dir: Path, commit: str) -> None:
    environ = checkout_environment(None, None) | {"GIT_DIR": str(git_dir)}
    try:
        await asyncio.to_thread(git_trees.require_bounded, [commit], git=(*leash(), "git"), environ=environ)
    except git_trees.TooLarge as error:
        raise TooLarge(f"too_large: {error}") from error
    except (git_trees.TookTooLong, git_trees.Unreadable, OSError) as error:
        raise CheckoutFailed(f"the files of {commit} can't be counted: {error}") from error


async def _fetch(mirror: Path, source: Source, commit: str) -> None:
    """Every branch, then, where the commit is on none of them, the commit itself."""
    fetch = ("--git-dir", str(mirror), "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--prune")
    for delay in (*TRY_AGAIN_AFTER_SECONDS, None):
        try:
            branches = "+refs/heads/*:refs/heads/*"
            await _git(*fetch, "--end-of-options", source.clone_url, branches, source=source, inside=mirror)
            break
        except CheckoutFailed as failure:
            if delay is None or isinstance(failure, CutShort | TooLarge):
                raise
            await asyncio.sleep(delay)
    if not await _has(mirror, commit):
        try:
            await _git(*fetch[:-1], "--end-of-options", source.clone_url, commit, source=source, inside=mirror)
        except CheckoutFailed as failure:
            raise CheckoutFailed(f"commit {commit} is not in the repository ({failure})") from failure


async def _has(mirror: Path, commit: str) -> bool:
    try:
        await _git("--git-dir", str(mirror), "cat-file", "-e", f"{commit}^{{commit}}")
    except CheckoutFailed:
        return False
    return True


async def _git(*arguments: str, source: Source | None = None, inside: Path | None = None) -> None:
    """Run git; CheckoutFailed with the last line that it said. inside: the repository that it works on.

    What the machine ended (a signal, a full disk) is tried again three times: it says nothing about the commit.
    """
    for delay in (*TRY_AGAIN_AFTER_SECONDS, LAST_DELAY_SECONDS):
        try:
            await _git_once(*arguments, source=source)
            return
        except CutShort:
            await asyncio.sleep(delay)
            if inside is not None:
                await asyncio.to_thread(forget_locks, inside)
    await _git_once(*arguments, source=source)


async def _git_once(*arguments: str, source: Source | None) -> None:
    username, password = (source.username, source.password) if source else (None, None)
    try:
        process = await asyncio.create_subprocess_exec(
            *leash(),
            "git",
            *arguments,
            env=checkout_environment(username, password, gc__autoDetach="false", maintenance__autoDetach="false"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise CheckoutFailed(f"git can't be started: {error.strerror}") from error
    try:
        async with asyncio.timeout(GIT_SECONDS):
            said = await _last_words(process)
    except TimeoutError as error:
        raise CheckoutFailed(f"git took longer than {GIT_SECONDS} s") from error
    finally:
        if process.returncode is None:
            kill_group(process.pid)
    code = process.returncode or 0
    if not code:
        return
    text, why = said.decode("utf-8", "replace"), why_git_failed(said, code, password)
    if met_limit(code, text):
        raise TooLarge(f"too_large: {why}")
    if cut := was_cut_short(code, text):
        raise CutShort(f"git {cut}: {why}")
    raise CheckoutFailed(why)


async def _last_words(process: asyncio.subprocess.Process) -> bytes:
    """The end of what it says, once it has ended."""
    said = OutputTail(MOST_SAID_BYTES)
    assert process.stderr is not None
    while chunk := await process.stderr.read(MOST_SAID_BYTES):
        said.write(chunk)
    await process.wait()
    return said.content()
