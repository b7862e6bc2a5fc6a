"""Reports of a run while it works: log lines in batches, and the driver's Platform.

A separate thread sends the lines, so a slow or unavailable platform never delays the work. The queue is bounded: if it
is full, the oldest lines are dropped and one line says how many. The run's secrets are masked in every line.
"""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TypeVar

from common.errors import ProviderRefused
from common.machine.waiting import Deadline
from common.masking import Mask
from common.values.claimed_run import Limits
from workers.runner.cancellation import Cancellation, Cancelled, Why
from workers.runner.client import LONG_POLL_SECONDS, MOST_LINES, Json, RunApi, RunOver
from workers.runner.commands import LONGEST_LINE

Result = TypeVar("Result")

MOST_WAITING_LINES = 20_000
_GATHER_SECONDS = 0.3


class RunLog:
    """A run's log, in order. A context manager: on exit it sends the remaining lines, unless the run was dropped."""

    def __init__(self, api: RunApi, *, on_over: Callable[[str], None], secrets: Sequence[str]) -> None:
        self._api = api
        self._on_over = on_over
        self._mask = Mask(secrets)
        self._last: str | None = None
        self._lines: collections.deque[Json] = collections.deque()
        self._left_out = 0
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._send_all, name=f"log {api.run_id}", daemon=True)

    def add(self, kind: str, text: str, *, level: str = "info") -> None:
        """Queue a text, split into lines, for sending. kind: log, text, tool, result. Empty text: an empty line."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._changed:
            for line in self._masked(text):
                self._lines.append({"level": level, "message": line[:LONGEST_LINE], "kind": kind, "at": at})
            while len(self._lines) > MOST_WAITING_LINES:
                self._lines.popleft()
                self._left_out += 1
            self._changed.notify_all()

    def _masked(self, text: str) -> list[str]:
        # Masks whole lines, before they are cut. The platform masks again, with secrets that this machine lacks.
        lines = self._mask.lines(text.split("\n"), after=self._last)
        self._last = lines[-1]
        return lines

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()

    def _send_all(self) -> None:
        try:
            while batch := self._next_batch():
                try:
                    self._api.send_logs(batch)
                except ProviderRefused as error:
                    # A rejected batch must not end the run; a line in the log says that lines are missing.
                    refused = {
                        "level": "warn",
                        "message": f"{len(batch)} log lines were refused: {error}",
                        "kind": "log",
                    }
                    self._api.send_logs([refused])
        except RunOver as error:
            self._on_over(str(error))
        except (Cancelled, ProviderRefused):
            return

    def _next_batch(self) -> list[Json]:
        """Return the next lines to send, collected for a moment; empty when the log is closed and sent."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._is_closing)
            self._changed.wait_for(lambda: self._is_closing or len(self._lines) >= MOST_LINES, timeout=_GATHER_SECONDS)
            batch: list[Json] = []
            if self._left_out:
                message = f"{self._left_out} lines were dropped, because there were more than could be sent"
                batch.append({"level": "warn", "message": message, "kind": "log"})
                self._left_out = 0
            while self._lines and len(batch) < MOST_LINES:
                batch.append(self._lines.popleft())
            return batch


class RunPlatform:
    """The driver's Platform: sends its texts to the log, and its progress, totals and questions to the platform."""

    def __init__(
        self,
        api: RunApi,
        log: RunLog,
        cancellation: Cancellation,
        *,
        on_over: Callable[[str], None],
        limits: Limits,
        hold_seconds: float,
    ) -> None:
        self._api = api
        self._on_over = on_over
        self._log = log
        self._cancellation = cancellation
        self._limits = limits
        self._hold_seconds = hold_seconds

    def say(self, text: str) -> None:
        self._add("text", text)

    def tool(self, text: str) -> None:
        self._add("tool", text)

    def result(self, text: str, *, ok: bool = True) -> None:
        self._add("result", text, level="info" if ok else "error")

    def progress(self, message: str, done: int | None = None, total: int | None = None) -> None:
        self._reporting(lambda: self._api.send_progress(message, done, total))

    def usage(self, *, input_tokens: int, output_tokens: int, cached_tokens: int, cost_usd: float) -> None:
        self._reporting(
            lambda: self._api.send_usage(
                input_tokens=input_tokens, output_tokens=output_tokens, cached_tokens=cached_tokens, cost_usd=cost_usd
            )
        )
        most_tokens, most_usd = self._limits.max_tokens, self._limits.max_cost_usd
        if most_tokens is not None and input_tokens + output_tokens > most_tokens:
            self._cancellation.cancel(Why.LIMIT, f"The run used more than {most_tokens} tokens.")
        if most_usd is not None and cost_usd > most_usd:
            self._cancellation.cancel(Why.LIMIT, f"The run cost more than {most_usd} USD.")
        self._cancellation.check()

    def ask(self, question: str, context: str | None = None, options: tuple[str, ...] = ()) -> str | None:
        self._add("tool", f"ask: {question}")
        answer = self._reporting(lambda: self._answer(question, context, options))
        if answer is not None:
            self._add("result", f"answer: {answer}")
        return answer

    def _answer(self, question: str, context: str | None, options: tuple[str, ...]) -> str | None:
        asked = self._api.ask(question, context, options)
        deadline = Deadline(self._hold_seconds)
        while asked.response is None:
            if deadline.is_over:
                return None
            wait = max(1, min(LONG_POLL_SECONDS, round(deadline.left_seconds)))
            began = time.monotonic()
            asked = self._api.read_question(asked.id, wait_seconds=wait)
            if asked.response is None and time.monotonic() - began < min(1.0, wait):
                self._cancellation.sleep(min(1.0, deadline.left_seconds))
        return asked.response

    def _add(self, kind: str, text: str, *, level: str = "info") -> None:
        self._cancellation.check()
        self._log.add(kind, text, level=level)

    def _reporting(self, send: Callable[[], Result]) -> Result:
        """Make one call. If the run is over for the platform, it is dropped and Cancelled is raised."""
        try:
            return send()
        except RunOver as error:
            self._on_over(str(error))
            raise Cancelled(str(error)) from error
