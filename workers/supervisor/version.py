"""One version of an app: checks it out, starts it, waits until it is healthy, and restarts it until it is stopped.

It does not know the app's public port: it calls `on_live` once, when it has passed the health check. Its phase then
stays LIVE while its process is restarted after a crash, until it crashes too often.

A version that was healthy before is started again and again until it is healthy or stopped, also after it has FAILED:
what it needs may become available later than it, for example after a restart of the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeVar

from common.machine.waiting import Deadline, growing_delay
from common.values.delivery.app import CHECKOUT_FAILED, MACHINE, AppPhase, Version
from common.values.testing.check import CheckEnd
from workers.checkouts.commits import NOTHING_TO_RUN
from workers.supervisor.checkout import CheckoutFailed
from workers.supervisor.failures import DEATHS_WITHIN_SECONDS, Deaths, FailedStarts
from workers.supervisor.prepared_checkout import SETUP_FAILED, CheckoutSettings, NotReady, PreparedCheckout
from workers.supervisor.removals import remove_or_log
from workers.supervisor.shared_resources import SharedResources
from workers.supervisor.start_commands import Command, command_that_starts
from workers.supervisor.traffic.ports import NoFreePort
from workers.supervisor.units.health import Listener, VersionFailed, failed_by, failure_of, probe
from workers.supervisor.units.logs import LogFile
from workers.supervisor.units.program_end import death_of
from workers.supervisor.units.units import LOOPBACK, Streams, Unit

T = TypeVar("T")

log = logging.getLogger(__name__)

FIRST_POLL_SECONDS, GATE_POLL_SECONDS = 0.05, 0.3
"""The pauses between the first health checks of a version: they grow, as most programs answer soon."""
MISS_POLL_SECONDS = 1.0
"""The longest pause before the next health check after a failed one."""
DEATH_SECONDS = 1.0
"""A process that ends or is killed stops answering a little before it is known why."""
MISSES_ALLOWED = 2
"""How many failed health checks in a row a live version may have before it is restarted."""
RECOVERY_SECONDS = 10.0
"""How long a restarted version may take to become healthy; three times its first start, if that was longer."""
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.2, 5.0
TERM_SECONDS = 3.0
EXTENSIONS = 4
"""How often a starting version gets its whole time limit again while the machine is at fault."""


class RunningVersion:
    """One version with its process. All work happens in one task, which `begin` starts."""

    def __init__(
        self,
        wanted: Version,
        project_id: str,
        place: Path,
        log: LogFile,
        shared: SharedResources,
        on_live: Callable[[RunningVersion], None],
    ) -> None:
        self.wanted = wanted
        self.phase = AppPhase.STARTING
        self.failure: VersionFailed | None = None
        self.restarts = 0
        self.checked_seconds = 0.0
        self.is_answering = False
        self.is_stopped = False
        self._project_id = project_id
        self._place = place
        spec = wanted.spec
        self._settings = CheckoutSettings(
            project_id, place, spec.needs, spec.variables, wanted.source, spec.memory_limit,
            spec.network,
        )  # fmt: skip
        self._prepared = PreparedCheckout(shared, self._settings)
        self._log = log
        self._shared = shared
        self._on_live = on_live
        self._port: int | None = None
        self._taken_port: int | None = None
        self._unit: Unit | None = None
        self._death: asyncio.Task[VersionFailed] | None = None
        self._deaths = Deaths()
        self._start_took_seconds = 0.0
        self._extensions_left = EXTENSIONS
        self._task: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None

    @property
    def has_failed_itself(self) -> bool:
        """Whether it failed by itself; False if it was only replaced by a newer version, so it may be started again."""
        return self.phase is AppPhase.FAILED and (self.failure is None or self.failure.code != "replaced")

    @property
    def version_id(self) -> str:
        return self.wanted.version_id

    def begin(self) -> None:
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(_report_bug)

    async def stop(self, grace_seconds: float = TERM_SECONDS) -> None:
        """Stop its processes and delete its checkout. The phase does not change. Safe to repeat."""
        self.is_stopped = True
        # Done only once: a second run could delete the directory of a version that was started there since.
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(grace_seconds))
        await asyncio.shield(self._stopping)

    async def _stop(self, grace_seconds: float) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._clear(grace_seconds)
        self._log.close()

    def fail(self, failure: VersionFailed) -> None:
        """Mark the version as failed. Its process keeps running until it is stopped."""
        self.phase = AppPhase.FAILED
        self.failure = failure
        self._log.note(f"failed: {failure.reason}")

    async def _run(self) -> None:
        failed_starts = FailedStarts()
        while True:
            try:
                program = await self._become_healthy()
                break
            except Exception as error:  # noqa: BLE001 (a bug is logged as such)
                failure = failure_of(error)
            failed_starts.add()
            if not self.wanted.was_healthy or failed_starts.are_too_many:
                self.fail(failure)
            await self._clear(TERM_SECONDS)
            if not self.wanted.was_healthy:
                self._log.close()
                return
            self._log.note(f"{failure.reason}; starting it again in {failed_starts.pause_seconds:g} s")
            await asyncio.sleep(failed_starts.pause_seconds)
            self._prepared, self.checked_seconds = PreparedCheckout(self._shared, self._settings), 0.0
        self.phase, self.failure = AppPhase.LIVE, None
        self._log.note("healthy: it is live now")
        self._on_live(self)
        await self._keep_alive(program)

    async def _clear(self, grace_seconds: float) -> None:
        self.is_answering = False
        await self._end_unit(grace_seconds)
        await self._prepared.close()
        await asyncio.to_thread(remove_or_log, self._place)

    # --- checkout and start

    async def _become_healthy(self) -> Command:
        """Make the checkout, start the process and wait until it passes its health check. Returns what was started."""
        start_permit = await self._shared.overload.start_permit()
        try:
            program = await self._prepare()
            await self._start(program)
            began = time.monotonic()
            await self._first_answer(self.wanted.start_seconds)
        finally:
            start_permit.end()
        self._start_took_seconds = time.monotonic() - began
        await self._hold_healthy()
        return program

    async def _prepare(self) -> Command:
        code, source = self._prepared.code, self.wanted.source
        try:
            await self._shared.checkouts.make(self._project_id, source, self.wanted.commit, code)
            self._prepared.make_home()
        except CheckoutFailed as error:
            raise failed_by(error, CHECKOUT_FAILED, f"the checkout of {self.wanted.commit} failed: {error}") from error
        except OSError as error:
            raise failed_by(error, CHECKOUT_FAILED, f"the checkout can't be written: {error.strerror}") from error
        program = command_that_starts(self.wanted.spec.start_command, code)
        if program is None:
            raise VersionFailed("nothing_to_run", NOTHING_TO_RUN)
        try:
            async with self._shared.setup_slots:
                await self._prepared.make_ready(self._log)
        except NotReady as error:
            end = self._log.output_end() if error.code == SETUP_FAILED else ""
            raise VersionFailed(error.code, error.reason + end) from error
        except OSError as error:
            raise failed_by(error, "exited", f"it can't be started: {error}") from error
        return program

    async def _start(self, program: Command) -> None:
        """Start the process with a port that is free now."""
        if self._prepared.has_lost_databases:
            raise _lost_databases()
        try:
            port = self.wanted.spec.port
            if port is None or not self._prepared.has_own_ports(program):
                self._taken_port = port = self._shared.ports.take(LOOPBACK, port)
            self._port = port
            listens = {"PORT": str(port), "HOST": LOOPBACK}
            unit = await self._prepared.start(program, self._log, environ=listens, needs_dial=True)
        except (OSError, NoFreePort) as error:
            raise failed_by(error, "exited", f"it can't be started: {error}") from error
        self._unit = unit
        self._death = asyncio.create_task(death_of(unit, self._prepared.bound, self._log))
        self._log.note(f"started as process {unit.pid}, PORT={port}")

    async def _end_unit(self, grace_seconds: float) -> None:
        if self._death is not None:
            self._death.cancel()
        if self._unit is not None:
            await self._unit.stop(grace_seconds)
        if self._taken_port is not None:
            self._shared.ports.free(self._taken_port)
        self._unit, self._death, self._port, self._taken_port = None, None, None, None

    # --- health check of a new version

    async def _first_answer(self, within_seconds: float) -> None:
        """Return at the first healthy answer. Raises VersionFailed if the process dies or the time is over."""
        began = time.monotonic()
        deadline = Deadline(within_seconds)
        for tries in itertools.count(1):
            answer = await self._or_death(probe(self._listener(), self.wanted.spec.health))
            if answer.is_healthy:
                self.is_answering = True
                return
            if answer.status is None and time.monotonic() - began > within_seconds / 2:
                self._note_trouble()
            if deadline.is_over:
                if self._is_extended():
                    deadline = Deadline(within_seconds)
                    continue
                code = "timeout" if answer.status is None else "unhealthy"
                raise await self._explained(
                    VersionFailed(code, f"it was not healthy within {within_seconds:.3g} s: it {answer.description}")
                )
            pause = growing_delay(tries, first_seconds=FIRST_POLL_SECONDS, longest_seconds=GATE_POLL_SECONDS)
            await self._or_death(asyncio.sleep(pause))

    async def _hold_healthy(self) -> None:
        """Return when it has been healthy for health_seconds. Raises VersionFailed at the first failed check."""
        since = time.monotonic()
        while self.checked_seconds < self.wanted.spec.health.seconds:
            left = self.wanted.spec.health.seconds - (time.monotonic() - since)
            await self._or_death(asyncio.sleep(max(0.0, min(GATE_POLL_SECONDS, left))))
            looked_at = time.monotonic()
            answer = await self._or_death(probe(self._listener(), self.wanted.spec.health))
            if not answer.is_healthy:
                if self._is_extended():
                    since, self.checked_seconds = time.monotonic(), 0.0
                    continue
                words = f"after {self.checked_seconds:.1f} s of good health it {answer.description}"
                raise await self._explained(VersionFailed("unhealthy", words))
            self.checked_seconds = looked_at - since

    def _is_extended(self) -> bool:
        """Whether a starting version gets its time limit again because the machine is at fault; EXTENSIONS times."""
        if self.phase is not AppPhase.STARTING or not self._extensions_left or not self._shared.overload.is_now:
            return False
        self._extensions_left -= 1
        self._log.note(f"{self._shared.overload.words}; its time limit starts again")
        return True

    async def _explained(self, failure: VersionFailed) -> VersionFailed:
        """Return the process's death if that follows within DEATH_SECONDS, else the failure as it is judged."""
        assert self._death is not None
        await asyncio.wait({self._death}, timeout=DEATH_SECONDS)
        return self._death.result() if self._death.done() else self._judged(failure)

    def _judged(self, failure: VersionFailed) -> VersionFailed:
        """Return the failure; while the machine is at fault, a failure with the code MACHINE instead."""
        overload = self._shared.overload
        return VersionFailed(MACHINE, f"{overload.words}: {failure.reason}") if overload.is_now else failure

    def _note_trouble(self) -> None:
        """Count this failure towards an overload of the machine, unless the version itself is known to be bad."""
        if self.phase is not AppPhase.FAILED or (self.failure is not None and self.failure.code == MACHINE):
            self._shared.overload.note(self._project_id)

    async def _or_death(self, work: Coroutine[object, None, T]) -> T:
        """Return the result of `work`. Raises VersionFailed as soon as the process has died."""
        assert self._death is not None
        task = asyncio.create_task(work)
        try:
            await asyncio.wait({task, self._death}, return_when=asyncio.FIRST_COMPLETED)
            if self._death.done():
                raise self._death.result()
            return task.result()
        finally:
            task.cancel()

    def _listener(self) -> Listener:
        assert self._port is not None
        return Listener(self._port, self.connect)

    async def connect(self, *, limit: int = 2**16) -> Streams:
        """Connect to its present process. limit: see Target. Raises OSError, also while there is none."""
        if self._unit is None or self._port is None:
            raise ConnectionRefusedError("it has no process now")
        return await self._unit.connect(self._port, limit=limit)

    # --- supervision of a live version

    async def _keep_alive(self, program: Command) -> None:
        failure = await self._until_it_fails()
        stays_bad = False
        while True:
            self.is_answering = False
            delay = self._count_death(failure, stays_bad=stays_bad)
            self._log.note(f"{failure.reason.split(': ')[0]}; restarting it in {delay:g} s")
            with contextlib.suppress(OSError):  # `_restart` tries again
                await self._end_unit(TERM_SECONDS)
            await asyncio.sleep(delay)
            restart_failure = await self._restart(program)
            stays_bad = restart_failure is not None and restart_failure.code in {"unhealthy", "timeout"}
            failure = restart_failure or await self._until_it_fails()

    async def _restart(self, program: Command) -> VersionFailed | None:
        """Start the process again and wait for a healthy answer. Returns why it is not healthy; None if it is."""
        self.restarts += 1
        patience = max(RECOVERY_SECONDS, 3 * self._start_took_seconds)
        start_permit = await self._shared.overload.start_permit()
        try:
            await self._end_unit(TERM_SECONDS)
            await self._prepared.revive_databases()
            await self._start(program)
            await self._first_answer(min(patience, self.wanted.start_seconds))
        except VersionFailed as failure:
            return failure
        except NotReady as error:
            return VersionFailed(error.code, error.reason)
        except OSError as error:
            return failed_by(error, "exited", f"it can't be started: {error}")
        finally:
            start_permit.end()
        return None

    async def _until_it_fails(self) -> VersionFailed:
        often = self._shared.watch_seconds
        misses = 0
        try:
            while True:
                await self._or_death(asyncio.sleep(min(often, MISS_POLL_SECONDS) if misses else often))
                if self._prepared.has_lost_databases:
                    return _lost_databases()
                answer = await self._or_death(probe(self._listener(), self.wanted.spec.health))
                misses = 0 if answer.is_healthy else misses + 1
                if misses:
                    self._note_trouble()
                if misses > MISSES_ALLOWED:
                    return VersionFailed("unhealthy", f"{misses} times in a row it {answer.description}")
                self._forget_old_deaths()
        except VersionFailed as failure:
            return failure
        except OSError as error:
            return VersionFailed("exited", f"it can't be watched: {error}")

    def _count_death(self, failure: VersionFailed, *, stays_bad: bool) -> float:
        """Count a crash and return the seconds to wait before the next start.

        Too many crashes, or a restart after which the version is still unhealthy (stays_bad), make it FAILED.
        """
        self._forget_old_deaths()
        self._note_trouble()
        self._deaths.add()
        count = self._deaths.count
        if not self._deaths.are_too_many and not stays_bad:
            return growing_delay(count, first_seconds=FIRST_DELAY_SECONDS, longest_seconds=LONGEST_DELAY_SECONDS)
        code = failure.code if failure.code in {CheckEnd.MEMORY, CheckEnd.DISK, MACHINE} else "keeps_dying"
        words = f"it failed {count} times within {DEATHS_WITHIN_SECONDS:g} s, most recently: {failure.reason}"
        judged = self._judged(VersionFailed(code, words))
        if judged.code == MACHINE:
            # Crashes during an overload do not count against the version afterwards.
            self._deaths.forget_all_but_last()
        self.fail(judged)
        return LONGEST_DELAY_SECONDS

    def _forget_old_deaths(self) -> None:
        """Forget crashes older than DEATHS_WITHIN_SECONDS. A failed version without recent crashes is LIVE again."""
        self._deaths.forget_old()
        if self.phase is AppPhase.FAILED and not self._deaths.count:
            self.phase, self.failure = AppPhase.LIVE, None
            self._log.note("healthy again")


def _lost_databases() -> VersionFailed:
    return VersionFailed("service_failed", "a database server of this version has ended")


def _report_bug(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a version's task failed by a bug", exc_info=error)
