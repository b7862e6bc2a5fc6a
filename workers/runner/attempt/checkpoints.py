"""Checkpoints: a run's unfinished work, committed to its branch and pushed, so that nothing is lost however it ends.

Every few minutes while the driver works, beside it and without touching its files, index or HEAD; and once more when
the run ends without a result. The session is stored with each.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

from common.errors import Invalid, NotFound, ProviderRefused, ProviderUnavailable
from common.machine.files import remove_tree
from workers.runner.platform_client.client import RunOver
from workers.runner.processes.cancellation import Cancellation, Cancelled, Why
from workers.runner.workspace.workspace import Workspace

logger = logging.getLogger("workers.runner")

_JOIN_SECONDS = 30.0
"""How long a checkpoint under way may take to finish when the driver has ended; if the run is cancelled, less."""
_HURRIED_JOIN_SECONDS = 3.0


class Checkpoints:
    """The checkpoints of one run.

    message: of the commits. store: packs and stores the session that belongs to this head; it may be cancelled. say:
    adds a line to the run's log. `every` and `take_last` are not used at the same time.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        message: str,
        store: Callable[[str, Cancellation], None],
        add_text: Callable[[str], None],
    ) -> None:
        self._workspace = workspace
        self._message = message
        self._store = store
        self._say = add_text
        self._last_fault = ""
        self._due = threading.Event()

    def take_soon(self) -> None:
        """Take one now, if `every` is at work; in its thread. Returns at once."""
        self._due.set()

    @contextlib.contextmanager
    def every(self, seconds: float) -> Iterator[None]:
        """Take one every so many seconds while the block runs. On exit none is under way any more."""
        is_over = False
        cancellation = Cancellation()

        def take_all() -> None:
            while True:
                self._due.wait(seconds)
                self._due.clear()
                if is_over:
                    return
                self._take(cancellation)

        thread = threading.Thread(target=take_all, name="checkpoints", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over = True
            self._due.set()
            thread.join(_HURRIED_JOIN_SECONDS if self._workspace.cancellation.is_set() else _JOIN_SECONDS)
            cancellation.cancel(Why.LIMIT, "The checkpoint took too long.")
            thread.join()

    def take_last(self, seconds: float, *, largest_file_bytes: int | None = None) -> None:
        """Kill what is left of the driver, and take one within so many seconds. Failures are only logged.

        largest_file_bytes: of a run that has filled the disk: its temporary files are removed first, and larger files
        are left out.
        """
        self._workspace.end_commands()
        if largest_file_bytes is not None:
            with contextlib.suppress(OSError, RecursionError):
                remove_tree(self._workspace.scratch)
        cancellation = Cancellation()
        timer = threading.Timer(seconds, cancellation.cancel, (Why.LIMIT, "The checkpoint took too long."))
        timer.daemon = True
        timer.start()
        try:
            self._take(cancellation, largest_file_bytes)
        finally:
            timer.cancel()

    def _take(self, cancellation: Cancellation, largest_file_bytes: int | None = None) -> None:
        workspace = replace(self._workspace, cancellation=cancellation)
        fault = None
        try:
            commit, fault = self._commit(workspace, largest_file_bytes)
            if commit is not None and workspace.push_aside(commit):
                less = ", without its uncommitted files" if fault else ""
                self._say(f"The work so far is kept in {commit[:12]}{less}.")
            self._store(commit or workspace.head(), cancellation)
            if fault:
                raise fault
            self._last_fault = ""
        except (Cancelled, ProviderUnavailable, ProviderRefused, NotFound, Invalid, RunOver, OSError) as error:
            reason = str(error)
            logger.warning("checkpoint not taken", extra={"directory": str(workspace.directory), "reason": reason})
            if reason != self._last_fault:
                self._say(f"{'The files' if fault else 'The work so far'} could not be kept: {reason}")
            self._last_fault = reason

    def _commit(self, workspace: Workspace, largest_file_bytes: int | None) -> tuple[str | None, Exception | None]:
        """The commit of `commit_aside`, and None. If git can't write the files: the commit of what the driver committed
        itself, and why.
        """
        try:
            return workspace.commit_aside(self._message, largest_file_bytes=largest_file_bytes), None
        except ProviderRefused as error:
            return workspace.commit_aside(self._message, with_files=False), error
