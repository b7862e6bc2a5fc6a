"""Watches a program until it ends or exceeds a bound, and says how it ended."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from common.machine.processes.children import describe_exit
from common.values.testing.check import CheckEnd
from workers.supervisor.units.health import VersionFailed
from workers.supervisor.units.limit_watch import Bound, Excesses
from workers.supervisor.units.logs import LogFile
from workers.supervisor.units.units import Unit


@dataclass(frozen=True)
class Ending:
    """How a command ended. exit_code: None if it was killed. reason and code: None if it passed."""

    exit_code: int | None
    reason: str | None = None
    code: CheckEnd | None = None


async def watched(unit: Unit, bound: Bound, *, timeout_seconds: float) -> Ending:
    """Wait until the command ends or exceeds its bound or its time. The caller stops the unit.

    Raises OSError if its sandbox could not be made.
    """
    ended, exceeds = asyncio.create_task(unit.wait()), asyncio.create_task(Excesses(unit, bound).first())
    try:
        async with asyncio.timeout(timeout_seconds):
            await asyncio.wait({ended, exceeds}, return_when=asyncio.FIRST_COMPLETED)
    except TimeoutError:
        return Ending(None, f"it took longer than {timeout_seconds:g} s", CheckEnd.TIMEOUT)
    finally:
        ended.cancel()
        exceeds.cancel()
    if not ended.done() or ended.cancelled():
        excess = exceeds.result()
        return Ending(None, f"it {excess.words}", excess.code)
    if unit.sandbox_failure is not None:
        raise OSError(f"its sandbox can't be made: {unit.sandbox_failure}")
    status = ended.result()
    if status and unit.has_met_memory_bound:
        return Ending(None, "it used more memory than its sandbox may have", CheckEnd.MEMORY)
    if status == 0:
        return Ending(0)
    if status > 0:
        return Ending(status, f"it {describe_exit(status)}", CheckEnd.EXITED)
    return Ending(None, f"it {describe_exit(status)}", CheckEnd.KILLED)


async def death_of(unit: Unit, bound: Bound, log: LogFile) -> VersionFailed:
    """Wait until a version's process ends or exceeds its bound, and is killed then; return the failure."""
    ended, exceeds = asyncio.create_task(unit.wait()), asyncio.create_task(Excesses(unit, bound).first())
    try:
        await asyncio.wait({ended, exceeds}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            words, end = describe_exit(ended.result()), log.output_end()
            log.note(words)
            if unit.has_met_memory_bound:
                return VersionFailed("memory", f"it used more memory than its sandbox may have, and {words}{end}")
            return VersionFailed("exited", f"the process {words}{end}")
        excess = exceeds.result()
        log.note(excess.words)
        await unit.stop(0)
        return VersionFailed(excess.code.value, f"it {excess.words}; it was killed")
    finally:
        ended.cancel()
        exceeds.cancel()
