"""Clean checkouts of exact commits.

Each project has one bare mirror. A checkout is a separate repository that shares the mirror's objects and has no
remote, hooks or credential. Git reads no configuration files, and gets the credential only through its environment,
never in an argument, which every user of the machine could read.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from common.errors import NO_ROOM
from common.machine.files import remove_tree
from common.machine.git import checkout_sizes
from common.machine.git.leftover_locks import forget_locks, forget_unfinished
from common.machine.git.limits import limits_prefix, met_limit, was_cut_short
from common.machine.log_files import OutputTail
from common.machine.processes.children import kill_group
from common.values.repository import Source
from common.values.testing.check import Overlay
from workers.checkouts.commits import (
    TRY_AGAIN_AFTER_SECONDS,
    checkout_environment,
    why_git_failed,
    write_files_as_committed,
)
from workers.checkouts.overlays import Unwritable, git_commands, write_texts
from workers.supervisor.removals import remove_or_log

GIT_SECONDS = 600
LAST_DELAY_SECONDS = 5.0
MOST_ERROR_BYTES = 64 * 1024


class CheckoutFailed(Exception):
    """The commit could not be checked out. The message is a sentence without secrets."""


class TooLarge(CheckoutFailed):
    """The commit is too large for any checkout: trying again does not help."""


class GitRefused(CheckoutFailed):
    """Git ran to its end and found a fault in what it was given."""


class OverlayFailed(CheckoutFailed):
    """The overlay's files do not fit the commit's: trying again does not help."""


class CutShort(CheckoutFailed):
    """The machine ended git, by a signal or for lack of room. This is no fault of the commit."""


class Checkouts:
    """Keeps the mirrors in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._locks: dict[str, asyncio.Lock] = {}
        self._unlocked: set[str] = set()
        """Projects whose mirror has nothing of a killed git."""

    def objects(self, project_id: str) -> Path:
        """The folder of the mirror that holds the objects of the project's checkouts."""
        return self._mirror(project_id) / "objects"

    async def make(
        self, project_id: str, source: Source, commit: str, to: Path, *, overlay: Overlay | None = None
    ) -> None:
        """Empty the directory `to` and check out the commit there, then the overlay's files. Raises CheckoutFailed;
        OverlayFailed if the commit was checked out, but its files do not fit the overlay's.
        """
        mirror = self._mirror(project_id)
        try:
            await asyncio.to_thread(remove_tree, to)
        except OSError as error:
            # What stays would be among the files of this commit.
            raise CheckoutFailed(f"files of an earlier checkout can't be removed: {error.strerror}") from error
        async with self._locks.setdefault(project_id, asyncio.Lock()):
            await self._ensure_mirror(project_id, mirror)
            for wanted in (commit,) if overlay is None else (commit, overlay.commit):
                if not await _has(mirror, wanted):
                    self._unlocked.discard(project_id)
                    await _fetch(mirror, source, wanted)
                    self._unlocked.add(project_id)
        await _git("init", "--quiet", "--template=", str(to))
        alternates = to / ".git" / "objects" / "info" / "alternates"
        alternates.parent.mkdir(parents=True, exist_ok=True)
        alternates.write_text(f"{self.objects(project_id)}\n", encoding="utf-8")
        write_files_as_committed(to / ".git")
        await _require_bounded(to / ".git", commit)
        inside = ("--git-dir", str(to / ".git"), "--work-tree", str(to))
        await _git(*inside, "checkout", "--quiet", "--force", "--detach", commit, inside=to / ".git")
        if overlay is not None:
            await _require_bounded(to / ".git", overlay.commit)
            await _lay_over(inside, to, overlay)

    async def _ensure_mirror(self, project_id: str, mirror: Path) -> None:
        """Create the mirror, if needed, and remove what a killed git left. The caller holds the project's lock."""
        if mirror.exists() and project_id not in self._unlocked:
            await asyncio.to_thread(_forget_killed, mirror)
        elif not mirror.exists():
            new = mirror.with_suffix(".new")
            await asyncio.to_thread(remove_or_log, new)
            new.parent.mkdir(parents=True, exist_ok=True)
            await _git("init", "--quiet", "--bare", "--template=", str(new))
            new.rename(mirror)
        self._unlocked.add(project_id)

    def _mirror(self, project_id: str) -> Path:
        return self._directory / f"{project_id}.git"

    def forget(self, project_id: str) -> None:
        """Delete the project's mirror. Blocking."""
        remove_or_log(self._mirror(project_id))
        self._locks.pop(project_id, None)
        self._unlocked.discard(project_id)


async def _lay_over(inside: tuple[str, ...], code: Path, overlay: Overlay) -> None:
    for arguments, paths in git_commands(overlay):
        try:
            await _git(*inside, *arguments, given=paths, inside=code / ".git")
        except GitRefused as error:
            raise OverlayFailed(str(error)) from error
    try:
        await asyncio.to_thread(write_texts, code, overlay)
    except Unwritable as error:
        raise OverlayFailed(str(error)) from error
    except OSError as error:
        raise CheckoutFailed(f"a file can't be replaced: {error.strerror}") from error


async def _require_bounded(git_dir: Path, commit: str) -> None:
    environ = checkout_environment(None, None) | {"GIT_DIR": str(git_dir)}
    try:
        await asyncio.to_thread(
            checkout_sizes.require_bounded, [commit], git=(*limits_prefix(), "git"), environ=environ
        )
    except checkout_sizes.TooLarge as error:
        raise TooLarge(f"too_large: {error}") from error
    except (checkout_sizes.TookTooLong, checkout_sizes.Unreadable, OSError) as error:
        raise CheckoutFailed(f"the files of {commit} can't be counted: {error}") from error


async def _fetch(mirror: Path, source: Source, commit: str) -> None:
    """Fetch every branch; if none of them contains the commit, fetch the commit itself."""
    # As a pack, which appears whole: of objects that were unpacked one by one, a killed git leaves some, and a commit
    # would count as there without its files.
    whole = ("--git-dir", str(mirror), "-c", "fetch.unpackLimit=1")
    fetch = (*whole, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--prune")
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


async def _git(*arguments: str, source: Source | None = None, inside: Path | None = None, given: bytes = b"") -> None:
    """Run git. Raises CheckoutFailed with the last line of its output. inside: the repository in which to remove
    what it left before a retry. given: its standard input.

    After CutShort (a signal, a full disk) it is tried again up to three times: that is no fault of the commit.
    """
    for delay in (*TRY_AGAIN_AFTER_SECONDS, LAST_DELAY_SECONDS):
        try:
            await _git_once(*arguments, source=source, given=given)
            return
        except CutShort:
            await asyncio.sleep(delay)
            if inside is not None:
                await asyncio.to_thread(_forget_killed, inside)
    await _git_once(*arguments, source=source, given=given)


async def _git_once(*arguments: str, source: Source | None, given: bytes) -> None:
    username, password = (source.username, source.password) if source else (None, None)
    try:
        process = await asyncio.create_subprocess_exec(
            *limits_prefix(),
            "git",
            *arguments,
            env=checkout_environment(username, password, gc__autoDetach="false", maintenance__autoDetach="false"),
            stdin=asyncio.subprocess.PIPE if given else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        kind = CutShort if error.errno in NO_ROOM else CheckoutFailed
        raise kind(f"git can't be started: {error.strerror}") from error
    if process.stdin is not None:
        process.stdin.write(given)
        process.stdin.close()
    try:
        async with asyncio.timeout(GIT_SECONDS):
            errors = await _error_output(process)
    except TimeoutError as error:
        raise CheckoutFailed(f"git took longer than {GIT_SECONDS} s") from error
    finally:
        if process.returncode is None:
            kill_group(process.pid)
    code = process.returncode or 0
    if not code:
        return
    text, why = errors.decode("utf-8", "replace"), why_git_failed(errors, code, password)
    if met_limit(code, text):
        raise TooLarge(f"too_large: {why}")
    if cut := was_cut_short(code, text):
        raise CutShort(f"git {cut}: {why}")
    raise GitRefused(why)


def _forget_killed(repository: Path) -> None:
    """Remove what a killed git left. No git process may be running there."""
    forget_locks(repository)
    forget_unfinished(repository)


async def _error_output(process: asyncio.subprocess.Process) -> bytes:
    """Wait for the process to end and return the last MOST_ERROR_BYTES of its error output."""
    tail = OutputTail(MOST_ERROR_BYTES)
    assert process.stderr is not None
    while chunk := await process.stderr.read(MOST_ERROR_BYTES):
        tail.write(chunk)
    await process.wait()
    return tail.content()
