"""People's messages on their way to a running program: a thread fetches them, the run's thread takes them."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Self

from common.errors import NotFound, ProviderRefused
from workers.runner.cancellation import Cancellation, Cancelled, Why
from workers.runner.client import LONG_POLL_SECONDS, PersonMessage, RunApi, RunOver, RunToken

logger = logging.getLogger("workers.runner")

_SHORTEST_ROUND_SECONDS = 1.0


class Inbox:
    """Messages that arrived and were not taken yet. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: list[PersonMessage] = []
        self._on_arrival: Callable[[], None] | None = None

    def put(self, messages: Sequence[PersonMessage]) -> None:
        with self._lock:
            self._messages += messages
            if messages and self._on_arrival is not None:
                self._on_arrival()

    def take(self) -> list[PersonMessage]:
        """Return what arrived, oldest first; it is no longer here afterwards."""
        with self._lock:
            taken, self._messages = self._messages, []
        return taken

    @contextlib.contextmanager
    def calling(self, on_arrival: Callable[[], None]) -> Iterator[None]:
        """While the block runs, arrivals call `on_arrival` in another thread. It must not wait."""
        with self._lock:
            self._on_arrival = on_arrival
        try:
            yield
        finally:
            with self._lock:
                self._on_arrival = None


class Steering:
    """Fetches a run's messages into `inbox` while the `with` block runs, but for the time between `stop` and `go_on`.

    What is fetched counts as delivered for the platform once the next fetch names it in `after`; anything else goes to
    the task's next run. A platform that has no messages ends it quietly. on_over: called with a reason if the run is
    over.
    """

    def __init__(self, url: str, run_id: str, token: RunToken, *, on_over: Callable[[str], None]) -> None:
        self.inbox = Inbox()
        self._url, self._run_id, self._token = url, run_id, token
        self._on_over = on_over
        self._after = 0
        self._ending = Cancellation()
        self._thread: threading.Thread | None = None

    def go_on(self) -> None:
        self._ending = Cancellation()
        api = RunApi(self._url, self._run_id, self._token, self._ending)
        name = f"messages {self._run_id}"
        self._thread = threading.Thread(target=self._fetch, args=(api, self._ending), name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Fetch no more. On return everything that was fetched is in the inbox."""
        self._ending.cancel(Why.DROPPED, "The run takes no more messages.")
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        self.go_on()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _fetch(self, api: RunApi, ending: Cancellation) -> None:
        try:
            while True:
                began = time.monotonic()
                found = api.read_messages(self._after, wait_seconds=LONG_POLL_SECONDS)
                messages = sorted((it for it in found if it.seq > self._after), key=lambda it: it.seq)
                if messages:
                    self._after = messages[-1].seq
                    self.inbox.put(messages)
                elif time.monotonic() - began < _SHORTEST_ROUND_SECONDS:
                    ending.sleep(_SHORTEST_ROUND_SECONDS)
        except Cancelled:
            return
        except RunOver as error:
            self._on_over(str(error))
        except (NotFound, ProviderRefused) as error:
            logger.warning("no messages can be fetched", extra={"run_id": self._run_id, "reason": str(error)})


def as_prompt(messages: Sequence[PersonMessage]) -> str:
    """The messages as a text for the agent."""
    return "\n\n".join(f"A message from {it.author or 'a person'}:\n\n{it.text}" for it in messages)
