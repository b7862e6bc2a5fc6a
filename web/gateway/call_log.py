"""One background thread per process that writes finished calls to the database, in batches.

A call is queued when its answer is over and stays queued until it is written: while the database is busy or away it is
tried again. Calls that are still queued when the process ends are logged with their figures.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import os
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict

import structlog

from common.errors import Busy
from common.services.agent_api.stuck import record_and_watch
from common.services.spend.model_calls import MadeCall

log = structlog.get_logger()

BATCH = 100
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 5.0
MOST_TRIES = 5
PARTING_SECONDS = 1.5
"""How long the process's end waits for the calls that are queued. gunicorn kills a process 2 s after `before_kill`."""
COUNTED_SECONDS = 3.0
"""How long the end of an answer waits until its call is counted against a cap. A database that is away longer holds up
no answer: the next call is refused until it is back."""

Record = Callable[[Sequence[MadeCall]], object]


class CallLog:
    """Starts its thread at the first call. record: stores a batch; safe to repeat."""

    def __init__(self, record: Record = record_and_watch) -> None:
        self._record = record
        self._queue: queue.SimpleQueue[MadeCall] = queue.SimpleQueue()
        self._left: dict[str, MadeCall] = {}
        self._change = threading.Condition()
        self._pause = threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, call: MadeCall) -> None:
        """Queue the call and return at once. Safe from any thread."""
        with self._change:
            self._left[call.id] = call
            if self._thread is None:
                # A context of its own: that of the request which comes first limits how long it may wait.
                run = contextvars.Context().run
                self._thread = threading.Thread(target=run, args=(self._run,), name="model-calls", daemon=True)
                self._thread.start()
        self._queue.put(call)

    def put_and_wait(self, call: MadeCall) -> None:
        """Queue the call and wait until it is written, for at most COUNTED_SECONDS."""
        self.put(call)
        with self._change:
            is_written = self._change.wait_for(lambda: call.id not in self._left, COUNTED_SECONDS)
        if not is_written:
            log.warning("a model call is not counted yet: the database does not answer", call=call.id, run=call.run_id)

    def flush(self, seconds: float) -> bool:
        """Wait until every queued call is written. Returns False after `seconds`."""
        with self._change:
            return self._change.wait_for(lambda: not self._left, seconds)

    def close(self) -> None:
        """Write what is queued; what can't be written in PARTING_SECONDS is logged."""
        if self.flush(PARTING_SECONDS):
            return
        for call in list(self._left.values()):
            _log_lost(call, "the process ended before the database could be written to")

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            with contextlib.suppress(queue.Empty):
                while len(batch) < BATCH:
                    batch.append(self._queue.get_nowait())
            self._write(batch)
            with self._change:
                for call in batch:
                    del self._left[call.id]
                self._change.notify_all()

    def _write(self, batch: Sequence[MadeCall]) -> None:
        """Write the batch. Waits for a database that is busy or away for however long that takes; a call that can't be
        written by itself is tried MOST_TRIES times, then logged and left out.
        """
        pause, faults = FIRST_PAUSE_SECONDS, 0
        while True:
            try:
                self._record(batch)
            except Busy as error:
                if pause == FIRST_PAUSE_SECONDS:
                    log.warning("model calls wait for the database", calls=len(batch), reason=str(error))
            except Exception as error:  # noqa: BLE001 (a bug must not end this thread, nor lose the other calls)
                if len(batch) > 1:
                    for call in batch:
                        self._write([call])
                    return
                faults += 1
                if faults == MOST_TRIES:
                    _log_lost(batch[0], f"it can't be stored: {type(error).__name__}")
                    return
            else:
                return
            self._pause.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _log_lost(call: MadeCall, why: str) -> None:
    log.error("a model call was not recorded", why=why, **{**asdict(call), "at": call.at.isoformat()})


_logs: dict[int, CallLog] = {}
_making = threading.Lock()


def call_log() -> CallLog:
    """This process's log of calls. Threads do not survive a fork, so a child process makes its own."""
    pid = os.getpid()
    if pid not in _logs:
        with _making:
            if pid not in _logs:
                made = CallLog()
                atexit.register(made.close)
                _logs[pid] = made
    return _logs[pid]
