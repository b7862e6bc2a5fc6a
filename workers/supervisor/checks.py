"""The checks: commands run once, each on a clean checkout of its own.

At most AT_ONCE run; the others wait their turn and report that they run. A finished check's result is kept on disk, so
that a supervisor that was started anew still knows it; one that was lost while running is not known any more.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from pathlib import Path
from typing import Any

from common.machine.children import base_environment, exit_words
from common.machine.files import replace_file
from workers.supervisor.checkout import CheckoutFailed, TooLarge
from workers.supervisor.logs import Tail, masked
from workers.supervisor.processes import Unit
from workers.supervisor.version import MEMORY_POLL_SECONDS, Tools
from workers.supervisor.wire import Place, WantedCheck

log = logging.getLogger(__name__)

AT_ONCE = 2


class _NotMade(Exception):
    """The check could not be made: no checkout, no process. It says nothing about the commit."""


class _Running:
    """A check that has not finished, or whose result is not on disk."""

    def __init__(self) -> None:
        self.output = Tail()
        self.task: asyncio.Task[None] | None = None
        self.result: dict[str, Any] | None = None

    def state(self) -> dict[str, Any]:
        if self.result is not None:
            return self.result
        return {"phase": "running", "exit_code": None, "log": self.output.text(), "reason": None}


class Checks:
    """All checks, by namespace and id."""

    def __init__(self, directory: Path, tools: Tools) -> None:
        self._directory = directory
        self._tools = tools
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._running: dict[tuple[str, str], _Running] = {}

    def restore(self) -> None:
        """Drop the checkouts of checks that were lost."""
        for place in self._directory.glob("*/*/"):
            shutil.rmtree(place, ignore_errors=True)

    def ensure(self, place: Place, wanted: WantedCheck) -> dict[str, Any]:
        """Begin it unless it is known. Returns the protocol's CheckState."""
        known = self.state(place.namespace, wanted.check_id)
        if known is not None:
            return known
        running = _Running()
        self._running[place.namespace, wanted.check_id] = running
        running.task = asyncio.create_task(self._run(place, wanted, running))
        return running.state()

    def state(self, namespace: str, check_id: str) -> dict[str, Any] | None:
        running = self._running.get((namespace, check_id))
        if running is not None:
            return running.state()
        try:
            kept: dict[str, Any] = json.loads(self._result(namespace, check_id).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return kept

    async def delete(self, namespace: str, check_id: str) -> None:
        running = self._running.get((namespace, check_id))
        if running is not None and running.task is not None:
            running.task.cancel()
            await asyncio.wait({running.task})
            self._running.pop((namespace, check_id), None)
        self._result(namespace, check_id).unlink(missing_ok=True)

    async def delete_namespace(self, namespace: str) -> None:
        await asyncio.gather(*(self.delete(of, check_id) for of, check_id in list(self._running) if of == namespace))
        await asyncio.to_thread(shutil.rmtree, self._directory / namespace, ignore_errors=True)

    async def close(self) -> None:
        tasks = {running.task for running in self._running.values() if running.task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _result(self, namespace: str, check_id: str) -> Path:
        return self._directory / namespace / f"{check_id}.json"

    async def _run(self, place: Place, wanted: WantedCheck, running: _Running) -> None:
        directory = self._directory / place.namespace / wanted.check_id
        try:
            async with self._turn:
                exit_code, reason = await self._outcome(place, wanted, directory, running)
        except _NotMade as error:
            # Nothing was learned about the commit: it is not kept, so that asking again tries again.
            running.result = {"phase": "broken", "exit_code": None, "log": running.output.text(), "reason": str(error)}
            return
        finally:
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
        state = {
            "phase": "failed" if reason else "passed",
            "exit_code": exit_code,
            "log": running.output.text(),
            "reason": reason,
        }
        running.result = state
        try:
            file = self._result(place.namespace, wanted.check_id)
            replace_file(file, json.dumps(state).encode(), is_synced=False)
        except OSError as error:
            # It stays known for as long as this supervisor runs.
            log.warning("the result of check %s can't be kept: %s", wanted.check_id, error)
        else:
            self._running.pop((place.namespace, wanted.check_id), None)

    async def _outcome(
        self, place: Place, wanted: WantedCheck, directory: Path, running: _Running
    ) -> tuple[int | None, str | None]:
        """(exit code or None, why it failed or None)."""
        code, home = directory / "code", directory / "home"
        try:
            await self._tools.checkouts.make(place.project_id, wanted.origin, wanted.commit, code)
            home.mkdir()
            env = base_environment(home) | dict(wanted.env)
            argv = ["sh", "-c", wanted.command]
            sink = await masked(running.output, wanted)
            unit = await self._tools.processes.start(argv, cwd=code, env=env, sink=sink)
        except TooLarge as error:
            return None, str(error)
        except CheckoutFailed as error:
            raise _NotMade(f"the checkout of {wanted.commit} failed: {error}") from error
        except OSError as error:
            raise _NotMade(f"it can't be started: {error}") from error
        try:
            return await _watched(unit, wanted)
        finally:
            # Also what it left in the background, whatever the outcome.
            await unit.stop(0)


async def _watched(unit: Unit, wanted: WantedCheck) -> tuple[int | None, str | None]:
    ended = asyncio.create_task(unit.wait())
    try:
        async with asyncio.timeout(wanted.timeout_seconds):
            while not (await asyncio.wait({ended}, timeout=MEMORY_POLL_SECONDS))[0]:
                limit = wanted.memory_bytes
                if limit is not None and (used := unit.resident_bytes()) > limit:
                    return None, f"it used {used // 2**20} MiB of memory, its limit is {limit // 2**20} MiB"
    except TimeoutError:
        return None, f"it took longer than {wanted.timeout_seconds:g} s"
    finally:
        ended.cancel()
    status = ended.result()
    if status == 0:
        return 0, None
    return (status if status > 0 else None), f"it {exit_words(status)}"
