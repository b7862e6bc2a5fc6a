"""An answer on its way from the provider to the caller: chunk by chunk as it arrives, read for its usage in passing."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import gevent
import structlog

from common.errors import Busy, NotFound
from common.machine.lazy_modules import lazy_module
from common.secrets.masking import KNOWN_FORMATS
from common.services.spend.model_calls import ESTIMATED, MadeCall
from common.services.spend.model_tokens import ModelAccess
from common.services.spend.prices import cost_of
from common.values.names import new_id
from common.values.runs.model_provider import ModelProvider, Sampling, TokenCount
from web.gateway import counters
from web.gateway.answers import bodies
from web.gateway.answers.bodies import ReadAhead, body_of, is_gevent
from web.gateway.answers.early_end import CALLER_GONE, CallerWatch, calls_under_way
from web.gateway.answers.limit_reading import Limit, limit_in_error
from web.gateway.answers.usage_formats import Event, Usage
from web.gateway.answers.usage_readers import BlindReader, DocumentReader, Reader, fitting_reader, probe_for
from web.gateway.call_log import call_log
from web.gateway.requests.token_estimate import BYTES_PER_TOKEN, estimated_tokens

if TYPE_CHECKING:
    import requests
    import urllib3
else:
    urllib3 = lazy_module("urllib3")

log = structlog.get_logger()

LONGEST_ERROR = 500
REST_SECONDS = 5.0
"""How long the rest of an answer in JSON, or the end of a stream after its last event, is read whose caller has gone
away: the usage in JSON comes last.
"""

HOLD_SECONDS = 10.0
"""How long the beginning of an answer is held back that has nothing of its content."""
MOST_HELD_BYTES = 2**20
"""Of such a beginning. Streams of Responses begin with what the request says, such as its instructions and tools."""

_SILENT = "the provider was silent for too long"
_ENDLESS = "the provider did not end the answer after an error"


@dataclass
class Call:
    """A call under way. model: as the request names it. estimated_input: the tokens of the request, estimated.
    is_recorded: False for calls that cost nothing.
    """

    access: ModelAccess
    provider: ModelProvider
    model: str
    estimated_input: int
    is_recorded: bool
    began: float
    at: datetime
    first_byte_ms: int | None = None

    @classmethod
    def begin(cls, access: ModelAccess, provider: ModelProvider, *, model: str, body: bytes, is_recorded: bool) -> Call:
        guessed = estimated_tokens(body) if is_recorded else 0
        return cls(access, provider, model, guessed, is_recorded, time.monotonic(), datetime.now(UTC))

    def end(self, status: int, usage: Usage | None = None, error: str | None = None) -> None:
        """Have the call recorded; returns when it is, if `is_counted_first`. usage: None if there is no answer."""
        if not self.is_recorded:
            return
        answered = usage.model if usage and usage.model else self.model
        model = self.model or answered
        count = TokenCount()
        cost: float | None = 0.0
        if usage is not None:
            samplings, estimated = self._counted(usage)
            error = "; ".join(filter(None, (usage.error, error, estimated))) or None
            count = sum((one.count for one in samplings), count)
            cost = cost_of(samplings, self.provider, model, answered, terms=usage.terms())
        made = MadeCall(
            new_id(), self.access.run_id, self.access.task_id, self.access.project_id, self.access.person,
            self.access.driver, self.provider.name, model or "unknown", status, _milliseconds(self.began), self.at,
            count, cost, self._masked(error), self.first_byte_ms,
        )  # fmt: skip
        counters.count(made)
        if self.is_counted_first:
            call_log().put_and_wait(made)
        else:
            call_log().put(made)

    @property
    def is_counted_first(self) -> bool:
        """Whether the call has to be counted before its caller has the whole answer and can make the next call."""
        return self.access.is_capped and self.is_recorded

    def _counted(self, usage: Usage) -> tuple[list[Sampling], str | None]:
        """The tokens of an answer, estimated if it did not say them. Else, a caller that asks for no usage would never
        reach its limits.
        """
        if usage.is_final:
            return usage.samplings(), None
        known = usage.count()
        is_input_known = known.input or known.cached or known.cache_write
        if usage.error is not None and not usage.text_bytes:
            # It is as if the provider had refused the call with a status of its own, but for an input that it named.
            return [Sampling(replace(known, output=0))] if is_input_known else [], None
        estimated_input = known.input if is_input_known else self.estimated_input
        # An event of a stream has at least one token.
        guessed_output = max(usage.events, (usage.text_bytes + usage.body_bytes) // BYTES_PER_TOKEN)
        output = max(known.output, guessed_output)
        return [Sampling(replace(known, input=estimated_input, output=output))], ESTIMATED

    def _masked(self, error: str | None) -> str | None:
        if error is None:
            return None
        key = self.provider.key
        return KNOWN_FORMATS(error.replace(key, "***") if key else error)[:LONGEST_ERROR]


class Answer:
    """The WSGI iterable of an answer. Its end, however it comes, closes the provider's connection and records the call.

    client: the caller's connection, watched for its end; None where the server does not give it.
    """

    def __init__(
        self, call: Call, answer: requests.Response, reader: Reader, client: socket.socket | None, status: int
    ) -> None:
        self._call, self._answer, self._reader, self._status = call, answer, reader, status
        self._is_over = False
        self._at_end: Callable[[], object] = lambda: None
        self._stopped: str | None = None
        self._on_limit: Callable[[Limit], object] = lambda _limit: None
        self._seen: Event | None = None
        calls_under_way.calls.add(self)
        self._watch = CallerWatch(client, self._note_gone) if client is not None and is_gevent() else None
        self._body = body_of(answer, bodies.SILENCE_SECONDS, lambda: gevent.spawn(self.stop, _SILENT))
        self._ahead = ReadAhead(self._body)

    def begin(self) -> tuple[bytes, Limit] | None:
        """Hold back the beginning of an answer until something of its content comes, for HOLD_SECONDS at most.

        Returns the limit that the provider tells of instead, and all of the answer, which is over then.
        """
        if isinstance(self._reader, BlindReader):
            return None
        ends_at, size = time.monotonic() + HOLD_SECONDS, 0
        probe = probe_for(self._reader, b"")
        while probe.is_before_content and self._limit_in(probe.usage) is None and size < MOST_HELD_BYTES:
            piece = self._ahead.look(ends_at - time.monotonic())
            if not piece:
                probe.finish()
                break
            if not size:
                probe = probe_for(self._reader, piece)
            self._note_first_byte()
            probe.feed(piece)
            size += len(piece)
        limit = self._limit_in(probe.usage) if probe.is_before_content else None
        if limit is None:
            return None
        return self._rest(), limit

    def on_limit(self, call: Callable[[Limit], object]) -> None:
        """Have this called once the answer tells of a limit, before the caller gets to see that."""
        self._on_limit = call

    def __iter__(self) -> Iterator[bytes]:
        read = self._ahead.read
        held, is_held = b"", self._call.is_counted_first
        try:
            chunk = read()
            self._note_first_byte()
            self._reader = fitting_reader(self._reader, chunk)
            feed, usage = self._reader.feed, self._reader.usage
            while chunk:
                feed(chunk)
                if usage.failed is not self._seen:
                    self._look_for_limit()
                if is_held:
                    # Without its last byte, no answer and no event of a stream is whole.
                    chunk, held = held + chunk[:-1], chunk[-1:]
                if chunk:
                    yield chunk
                chunk = read() if self._stopped is None else b""
            # Where the end of the connection ends an answer, one that was stopped looks whole.
            fault = self._stopped
        except _faults() as error:
            fault = self._fault_of(error)
        if fault is None:
            self._finish(None)
            if held:
                yield held
            return
        self._finish(fault)
        # The server closes the connection without the mark of the end, so that the caller sees what happened. For
        # this code, it writes no traceback.
        raise ConnectionResetError(errno.ECONNRESET, fault)

    def close(self) -> None:
        """Called by the server when the answer was sent, or can't be: then the caller has gone away."""
        if not self._is_over and self._is_read_on:
            self._read_on()
        self._finish(CALLER_GONE)

    def at_end(self, call: Callable[[], object]) -> None:
        """Have this called once the answer is over and its call is recorded."""
        self._at_end = call

    def stop(self, reason: str) -> None:
        """End the answer now, as if the provider had ended it. What reads it closes the connection."""
        self._stopped = reason
        _end_reads(self._answer)

    @property
    def _is_read_on(self) -> bool:
        """Whether the answer is read on when its caller has gone away. The provider may still be making a stream, but
        for one that has sent its last event: codex hangs up at that, before the provider has marked the end.
        """
        return self._watch is not None and (isinstance(self._reader, DocumentReader) or self._reader.usage.is_last)

    def _read_on(self) -> None:
        with gevent.Timeout(REST_SECONDS, False), suppress(*_faults()):
            while chunk := self._ahead.read():
                self._reader.feed(chunk)

    def _rest(self) -> bytes:
        """All of an answer that is nothing but an error. Its call is recorded."""
        read, fault = self._ahead.read(), _ENDLESS
        self._reader = fitting_reader(self._reader, read)
        self._reader.feed(read)
        with gevent.Timeout(REST_SECONDS, False) if is_gevent() else nullcontext(), suppress(*_faults()):
            while (chunk := self._ahead.read()) and len(read) < 2 * MOST_HELD_BYTES:
                self._reader.feed(chunk)
                read += chunk
            fault = _ENDLESS if chunk else ""
        self._finish(fault or None)
        return read

    def _limit_in(self, usage: Usage) -> Limit | None:
        error, key = usage.failed, self._call.provider.key
        if error is None:
            return None
        if key and isinstance(message := error.get("message"), str):
            error = {**error, "message": message.replace(key, "***")}
        headers = {name.lower(): value for name, value in self._answer.headers.items()}
        return limit_in_error(error, headers, datetime.now(UTC))

    def _look_for_limit(self) -> None:
        """Have the limit noted that the newest error in the answer tells of."""
        self._seen = self._reader.usage.failed
        limit = self._limit_in(self._reader.usage)
        if limit is None:
            return
        on_limit, self._on_limit = self._on_limit, lambda _limit: None
        try:
            on_limit(limit)
        except (Busy, NotFound) as error:
            # The next call meets the limit again.
            log.warning("a model provider's limit was not noted", run=self._call.access.run_id, reason=str(error))

    def _note_first_byte(self) -> None:
        if self._call.first_byte_ms is None:
            self._call.first_byte_ms = _milliseconds(self._call.began)

    def _note_gone(self) -> None:
        """Called by gevent's hub, where nothing may wait."""
        gevent.spawn_later(REST_SECONDS if self._is_read_on else 0, self._cut_for_nobody)

    def _cut_for_nobody(self) -> None:
        # Once it is over, its connection may serve another call.
        if not self._is_over:
            self.stop(CALLER_GONE)

    def _fault_of(self, error: Exception) -> str:
        if self._stopped is not None:
            return self._stopped
        if self._watch is not None and self._watch.is_client_gone:
            return CALLER_GONE
        if isinstance(error, urllib3.exceptions.ReadTimeoutError | TimeoutError):
            return _SILENT
        return f"the provider ended the answer too early ({type(error).__name__})"

    def _finish(self, fault: str | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        calls_under_way.calls.discard(self)
        if self._watch is not None:
            self._watch.stop()
        self._body.close()
        if fault is None:
            self._body.release()
        else:
            # Not `Response.close` alone: it would first read a short rest.
            _cut(self._answer)
        self._reader.finish()
        if fault is not None:
            log.warning(
                "a model call was cut off",
                run=self._call.access.run_id,
                provider=self._call.provider.name,
                reason=fault,
            )
        with ExitStack() as ends:
            ends.callback(self._at_end)
            ends.callback(self._call.end, self._status, self._reader.usage, fault)
            if self._reader.usage.failed is not self._seen:
                self._look_for_limit()


def _faults() -> tuple[type[Exception], ...]:
    """What reading a body raises. urllib3 is loaded with the first call."""
    return urllib3.exceptions.HTTPError, OSError, ValueError, EOFError


def _cut(answer: requests.Response) -> None:
    """Close the connection."""
    _end_reads(answer)
    # RuntimeError: the beginning is still looked at, so that the buffer can't be closed.
    with suppress(OSError, ValueError, RuntimeError):
        answer.raw.close()


def _end_reads(answer: requests.Response) -> None:
    """Have a read that waits end, and all later ones. To close it meanwhile would break what reads."""
    with suppress(OSError, ValueError, RuntimeError):
        answer.raw.shutdown()


def _milliseconds(since: float) -> int:
    return round((time.monotonic() - since) * 1000)
