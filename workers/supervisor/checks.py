"""The checks: commands that run once, each on its own clean checkout.

At most AT_ONCE run at the same time, and one of those that measure coverage; the others wait and report RUNNING. The
result of a finished check is stored on disk, so it survives a restart of the supervisor; a check that is running then
is forgotten.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from common.machine.files import replace_file
from common.values.delivery.app import ProjectNamespace
from common.values.json_codec import encode
from common.values.testing.check import OVERLAY_FAILED, Check, CheckEnd, CheckPhase, CheckState
from common.values.testing.coverage import Coverage
from common.values.testing.test_report import TestReport
from workers.reports.coverage_files import CoverageFiles
from workers.reports.coverage_measuring import Measuring
from workers.reports.report_files import Reports, added
from workers.supervisor.checkout import CheckoutFailed, OverlayFailed, TooLarge
from workers.supervisor.prepared_checkout import SETUP_FAILED, CheckoutSettings, NotReady, PreparedCheckout
from workers.supervisor.removals import remove_or_log
from workers.supervisor.shared_resources import SharedResources
from workers.supervisor.start_commands import low_priority_command, shell_command
from workers.supervisor.state_files import read_state
from workers.supervisor.units.logs import Tail
from workers.supervisor.units.program_end import Ending, watched

log = logging.getLogger(__name__)

AT_ONCE = 2


class _NotStarted(Exception):
    """The command could not be started: no checkout, no services, or no process. This is no verdict on the commit."""

    def __init__(self, reason: str, code: str | None = None) -> None:
        super().__init__(reason)
        self.code = code


class _Running:
    """A check that has not finished, or whose result could not be stored."""

    def __init__(self, settings: str) -> None:
        self.settings = settings
        self.output = Tail()
        self.task: asyncio.Task[None] | None = None
        self.result: CheckState | None = None
        self.report: TestReport | None = None
        self.coverage: Coverage | None = None

    def state(self) -> CheckState:
        state = self.result or CheckState(CheckPhase.RUNNING, None, self.output.text())
        return replace(state, settings=self.settings)


class Checks:
    """All checks, by namespace and id."""

    def __init__(self, directory: Path, shared: SharedResources) -> None:
        self._directory = directory
        self._shared = shared
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._turn_to_measure = asyncio.Semaphore(1)
        self._running: dict[tuple[str, str], _Running] = {}

    def restore(self) -> None:
        """Delete the checkouts of checks that an earlier supervisor was running."""
        for place in self._directory.glob("*/*/"):
            remove_or_log(place)

    def ensure(self, wanted: Check) -> CheckState:
        """Start the check unless it is known; return its state."""
        known = self.state(wanted.space, wanted.check_id)
        if known is not None:
            return known
        running = _Running(wanted.settings)
        self._running[wanted.space.namespace, wanted.check_id] = running
        running.task = asyncio.create_task(self._run(wanted, running))
        return running.state()

    def state(self, space: ProjectNamespace, check_id: str) -> CheckState | None:
        """Return the check's state; None if it is not known."""
        running = self._running.get((space.namespace, check_id))
        if running is not None:
            return running.state()
        return read_result(self._result(space.namespace, check_id))

    async def delete(self, namespace: str, check_id: str) -> None:
        running = self._running.get((namespace, check_id))
        if running is not None and running.task is not None:
            running.task.cancel()
            await asyncio.wait({running.task})
            self._running.pop((namespace, check_id), None)
        self._result(namespace, check_id).unlink(missing_ok=True)

    async def delete_namespace(self, namespace: str) -> None:
        await asyncio.gather(*(self.delete(of, check_id) for of, check_id in list(self._running) if of == namespace))
        await asyncio.to_thread(remove_or_log, self._directory / namespace)

    async def close(self) -> None:
        tasks = {running.task for running in self._running.values() if running.task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _result(self, namespace: str, check_id: str) -> Path:
        return self._directory / namespace / f"{check_id}.json"

    async def _run(self, wanted: Check, running: _Running) -> None:
        namespace = wanted.space.namespace
        directory = self._directory / namespace / wanted.check_id
        try:
            async with self._turn_to_measure if wanted.measures_coverage else nullcontext(), self._turn:
                ending = await self._ending(wanted, directory, running)
        except _NotStarted as error:
            # No verdict, so the result is not stored: after a deletion, the check can be started again.
            running.result = CheckState(CheckPhase.BROKEN, None, running.output.text(), str(error), error.code)
            return
        except Exception as error:
            # Nothing else tells of a bug: callers would wait for the check for ever.
            log.exception("check %s was ended by a bug", wanted.check_id)
            words = f"the local runtime has an error ({type(error).__name__}); its log says more"
            running.result = CheckState(CheckPhase.BROKEN, None, running.output.text(), words)
            return
        finally:
            await asyncio.to_thread(remove_or_log, directory)
        phase = CheckPhase.FAILED if ending.reason else CheckPhase.PASSED
        log_text = running.output.text()
        state = CheckState(
            phase, ending.exit_code, log_text, ending.reason, ending.code, running.report, running.coverage,
            wanted.settings,
        )  # fmt: skip
        running.result = state
        try:
            file = self._result(namespace, wanted.check_id)
            replace_file(file, json.dumps(encode(state)).encode(), is_synced=False)
        except OSError as error:
            # The result stays in memory while this supervisor runs.
            log.warning("the result of check %s can't be stored: %s", wanted.check_id, error)
        else:
            self._running.pop((namespace, wanted.check_id), None)

    async def _ending(self, wanted: Check, directory: Path, running: _Running) -> Ending:
        checkout_settings = CheckoutSettings(
            wanted.space.project_id, directory, wanted.needs, wanted.variables, wanted.source,
            wanted.memory_limit, wanted.network,
        )  # fmt: skip
        prepared = PreparedCheckout(self._shared, checkout_settings)
        reports = Reports(prepared.code, prepared.reports, wanted.test_report)
        measuring = Measuring(prepared.code, prepared.measured) if wanted.measures_coverage else None
        coverage = CoverageFiles(prepared.code, measuring=measuring)
        try:
            await self._shared.checkouts.make(
                checkout_settings.project_id, wanted.source, wanted.commit, prepared.code, overlay=wanted.overlay
            )
            await asyncio.to_thread(reports.note_commit)
            await asyncio.to_thread(coverage.note_commit)
            prepared.make_home()
            await prepared.make_ready(running.output)
            await asyncio.to_thread(reports.begin)
            additions = await asyncio.to_thread(reports.additions, wanted.command, wanted.only_files, wanted.left_out)
            command, writable = shell_command(wanted.command), [reports.folder]
            if measuring is not None:
                await asyncio.to_thread(measuring.begin)
                writable.append(measuring.folder)
                additions, command = [*additions, *measuring.additions()], low_priority_command(wanted.command)
            variables = await asyncio.to_thread(added, additions, prepared.environ)
            unit = await prepared.start(command, running.output, environ=variables, writable=writable)
            try:
                ending = await watched(unit, prepared.bound, timeout_seconds=wanted.timeout_seconds)
            finally:
                # Ends background processes of the command too, whatever the outcome.
                await unit.stop(0)
            running.report = await asyncio.to_thread(reports.read)
            running.coverage = await asyncio.to_thread(coverage.read, began_ns=reports.began_ns)
            return ending
        except TooLarge as error:
            return Ending(None, str(error), CheckEnd.TOO_LARGE)
        except OverlayFailed as error:
            return Ending(None, f"{OVERLAY_FAILED}: {error}", CheckEnd.SETUP_FAILED)
        except CheckoutFailed as error:
            raise _NotStarted(f"the checkout of {wanted.commit} failed: {error}") from error
        except NotReady as error:
            if error.code != SETUP_FAILED:
                raise _NotStarted(error.reason, error.code) from error
            return Ending(None, error.reason, CheckEnd.KILLED if error.was_killed else CheckEnd.SETUP_FAILED)
        except OSError as error:
            raise _NotStarted(f"it can't be started: {error}") from error
        finally:
            await prepared.close()


def read_result(file: Path) -> CheckState | None:
    """Return a result that was stored on disk; None if there is none, or only what a power loss left of it.

    Older AiWorkers stored no code; then it is derived from the text of the reason.
    """
    state = read_state(file, CheckState)
    if state is None:
        return None
    if state.phase is not CheckPhase.FAILED or state.code is not None:
        return state
    reason = state.reason or ""
    for words, code in (("was killed by", CheckEnd.KILLED), ("took longer than", CheckEnd.TIMEOUT)):
        if words in reason:
            return replace(state, code=code)
    return state
