"""Watches a command that runs once until it ends or exceeds a limit, and says how it ended."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from common.machine.children import exit_words
from common.settings.quantities import amount
from common.values.check import CheckEnd
from workers.supervisor.units import Unit

MEMORY_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Ending:
    """How a command ended. exit_code: None if it was killed. reason and code: None if it passed."""

    exit_code: int | None
    reason: str | None = None
    code: CheckEnd | None = None


async def watched(unit: Unit, *, memory_limit: str | None, timeout_seconds: float) -> Ending:
    """Wait until the command ends or exceeds its memory or its time. The caller stops the unit."""
    ended = asyncio.create_task(unit.wait())
    limit = bytes_of(memory_limit)
    try:
        async with asyncio.timeout(timeout_seconds):
            while not (await asyncio.wait({ended}, timeout=MEMORY_POLL_SECONDS))[0]:
                if limit is not None and (used := unit.resident_bytes()) > limit:
                    words = f"it used {used // 2**20} MiB of memory, its limit is {limit // 2**20} MiB"
                    return Ending(None, words, CheckEnd.MEMORY)
    except TimeoutError:
        return Ending(None, f"it took longer than {timeout_seconds:g} s", CheckEnd.TIMEOUT)
    finally:
        ended.cancel()
    status = ended.result()
    if status == 0:
        return Ending(0)
    if status > 0:
        return Ending(status, f"it {exit_words(status)}", CheckEnd.EXITED)
    return Ending(None, f"it {exit_words(status)}", CheckEnd.KILLED)


def bytes_of(memory_limit: str | None) -> int | None:
    """Return a Kubernetes quantity in bytes, rounded down; None means unlimited.

    >>> bytes_of("512Mi"), bytes_of("1G"), bytes_of("1.5Ki")
    (536870912, 1000000000, 1536)
    """
    return int(amount(memory_limit)) if memory_limit else None
