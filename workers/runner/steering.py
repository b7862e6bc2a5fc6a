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
    """Fetches a run's messages into its inbox while the `with` block runs.

    A platform that has no messages ends it quietly. on_over: called with a reason if the run is over.
    """

    def __init__(self, url: str, run_id: str, token: RunToken, inbox: Inbox, *, on_over: Callable[[str], None]) -> None:
        self._ending = Cancellation()
        self._api = RunApi(url, run_id, token, self._ending)
        self._inbox = inbox
        self._on_over = on_over

    def __enter__(self) -> Self:
        threading.Thread(target=self._fetch, name=f"messages {self._api.run_id}", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.cancel(Why.DROPPED, "The run takes no more messages.")

    def _fetch(self) -> None:
        after = 0
        try:
            while True:
                began = time.monotonic()
                messages = [
                    it for it in self._api.read_messages(after, wait_seconds=LONG_POLL_SECONDS) if it.seq > after
                ]
                if messages:
                    after = max(it.seq for it in messages)
                    self._inbox.put(sorted(messages, key=lambda it: it.seq))
                elif time.monotonic() - began < _SHORTEST_ROUND_SECONDS:
                    self._ending.sleep(_SHORTEST_ROUND_SECONDS)
        except Cancelled:
            return
        except RunOver as error:
            self._on_over(str(error))
        except (NotFound, ProviderRefused) as error:
            logger.warning("no messages can be fetched", extra={"run_id": self._api.run_id, "reason": str(error)})


def as_prompt(messages: Sequence[PersonMessage]) -> str:
    """The messages as a text for the agent."""
    return "\n\n".join(f"A message from {it.author or 'a person'}:\n\n{it.text}" for it in messages)
