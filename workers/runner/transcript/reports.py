"""Reports of a run while it works: the entries of its transcript in batches, and the driver's Platform.

A separate thread sends the entries, so a slow or unavailable platform never delays the work. The queue is bounded: if
it is full, the oldest entries are dropped and one says how many. Each gets a number when it is sent, so that a batch
whose answer was lost is stored once. The run's secrets are masked in every entry.
"""

from __future__ import annotations

import collections
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TypeVar

from common.errors import NotFound, ProviderRefused
from common.machine.waiting import Deadline
from common.secrets.masking import Mask
from common.values.runs.claimed_run import Limits
from workers.runner.platform_client.client import LONG_POLL_SECONDS, MOST_LINES, Json, RunApi, RunOver
from workers.runner.processes.cancellation import Cancellation, Cancelled, Why

Result = TypeVar("Result")

MOST_WAITING_LINES = 20_000
MOST_WAITING_CHARACTERS = 32 * 2**20
LONGEST_ENTRY = 16_000
"""Most characters of an entry's message, as the platform stores it."""
_MOST_BATCH_CHARACTERS = 2**21
"""Escaped in JSON, this is less than the platform accepts in one request."""
_MOST_REFUSALS = 50
"""After so many refusals of a batch, what is refused of it is not divided any more."""
_TAIL = 4000
_GATHER_SECONDS = 0.3


class RunLog:
    """A run's transcript, in order. A context manager: on exit it sends the rest, unless the run was dropped."""

    def __init__(self, api: RunApi, *, on_over: Callable[[str], None], secrets: Sequence[str]) -> None:
        self._api = api
        self._on_over = on_over
        self._secrets = list(secrets)
        self._mask = Mask(secrets)
        self._last: str | None = None
        self._entries: collections.deque[tuple[Json, int]] = collections.deque()
        self._waiting_characters = 0
        self._left_out = 0
        self._sent = 0
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._send_all, name=f"log {api.run_id}", daemon=True)

    def hide(self, secrets: Sequence[str]) -> None:
        """Mask these in every later entry, too."""
        with self._changed:
            self._secrets += secrets
            self._mask = Mask(self._secrets)

    def add(self, kind: str, text: str, *, level: str = "info") -> None:
        """Queue a text, one entry for each of its lines. kind: log, text, tool, result. Empty text: an empty line."""
        with self._changed:
            # Masks whole lines, before they are cut. The platform masks again, with secrets that this machine lacks.
            lines = self._mask.lines(text.split("\n"), after=self._last)
            self._last = lines[-1]
            for line in lines:
                self._queue({"level": level, "message": line[:LONGEST_ENTRY], "kind": kind, "at": _now()})

    def add_whole(
        self,
        kind: str,
        text: str,
        *,
        level: str = "info",
        call_id: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        """Queue a text with all its lines as one entry. kind: as add, and thinking, plan.

        A text or thinking that is too long becomes several entries; of others the beginning and the end are kept.
        details: JSON values, within the platform's bound; they go with the first entry.
        """
        masked = self._mask(text)
        parts = _parts(masked) if kind in {"text", "thinking"} else [shortened(masked, LONGEST_ENTRY)]
        more: Json = {}
        if call_id is not None:
            more["callId"] = call_id
        if details is not None:
            more["details"] = self._masked(details)
        with self._changed:
            self._last = None
            for part in parts:
                self._queue({"level": level, "message": part, "kind": kind, "at": _now(), **more})
                more = {}

    def _masked(self, value: object) -> object:
        if isinstance(value, str):
            return self._mask(value)
        if isinstance(value, Mapping):
            return {self._mask(str(key)): self._masked(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._masked(item) for item in value]
        return value

    def _queue(self, entry: Json) -> None:
        size = len(entry["message"]) + (len(json.dumps(entry["details"])) if "details" in entry else 0)
        self._entries.append((entry, size))
        self._waiting_characters += size
        while len(self._entries) > MOST_WAITING_LINES or self._waiting_characters > MOST_WAITING_CHARACTERS:
            self._waiting_characters -= self._entries.popleft()[1]
            self._left_out += 1
        self._changed.notify_all()

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
                self._send(batch)
        except RunOver as error:
            self._on_over(str(error))
        except (Cancelled, NotFound, ProviderRefused):
            return

    def _send(self, batch: Sequence[Json]) -> None:
        """Send these entries. Of a batch that is refused, only entries that are refused alone are left out.

        A refusal must not end the run; a line in the log says that entries are missing.
        """
        waiting, refusals = [batch], 0
        while waiting:
            part = waiting.pop()
            try:
                self._api.send_logs(self._numbered(part))
            except (NotFound, ProviderRefused) as error:
                refusals += 1
                if len(part) > 1 and refusals <= _MOST_REFUSALS:
                    middle = len(part) // 2
                    waiting += [part[middle:], part[:middle]]
                    continue
                which = "An entry was" if len(part) == 1 else f"{len(part)} entries were"
                part = [{"level": "warn", "message": f"{which} refused: {error}", "kind": "log"}]
                self._api.send_logs(self._numbered(part))
            self._sent += len(part)

    def _numbered(self, batch: Sequence[Json]) -> list[Json]:
        return [{**entry, "number": number} for number, entry in enumerate(batch, self._sent + 1)]

    def _next_batch(self) -> list[Json]:
        """Return the next entries to send, collected for a moment; empty when the log is closed and sent."""
        with self._changed:
            self._changed.wait_for(lambda: self._entries or self._is_closing)
            self._changed.wait_for(
                lambda: self._is_closing or len(self._entries) >= MOST_LINES, timeout=_GATHER_SECONDS
            )
            batch: list[Json] = []
            if self._left_out:
                message = f"{self._left_out} entries were dropped, because there were more than could be sent"
                batch.append({"level": "warn", "message": message, "kind": "log"})
                self._left_out = 0
            characters = 0
            while self._entries and len(batch) < MOST_LINES and characters < _MOST_BATCH_CHARACTERS:
                entry, size = self._entries.popleft()
                batch.append(entry)
                characters += size
            self._waiting_characters -= characters
            return batch


def shortened(text: str, most: int) -> str:
    """The text, or if it has more than `most` characters, its beginning and its end with what was left out between."""
    if len(text) <= most:
        return text
    tail = min(_TAIL, most // 4)
    head = most - tail - 60
    return f"{text[:head]}\n… {len(text) - head - tail} characters left out …\n{text[-tail:]}"


def _parts(text: str) -> list[str]:
    return [text[at : at + LONGEST_ENTRY] for at in range(0, len(text), LONGEST_ENTRY)] or [""]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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

    def add_text(self, text: str) -> None:
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

    def review(self, verdict: str, summary: str, comments: Sequence[Mapping[str, object]]) -> None:
        self._add("tool", f"review: {verdict}")
        body: Json = {"verdict": verdict, "summary": summary, "comments": [dict(comment) for comment in comments]}
        self._reporting(lambda: self._api.call("POST", "/review", json=body))

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
