"""People's messages on their way to a running program: a thread fetches them, the run's thread takes them."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Self

from common.errors import NotFound, ProviderRefused
from workers.runner.platform_client.client import LONG_POLL_SECONDS, PersonMessage, RunApi, RunOver, RunToken
from workers.runner.processes.cancellation import Cancellation, Cancelled, Why

logger = logging.getLogger("workers.runner")

_SHORTEST_ROUND_SECONDS = 1.0


class Inbox:
    """Messages that arrived and were not taken yet. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: list[PersonMessage] = []
        self._on_arrival: Callable[[], None] | None = None
        self.last_delivered = 0
        """The seq of the last message that the program got; 0: none."""

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

    def tell(self, messages: Sequence[PersonMessage]) -> None:
        """The program gets these messages, which were taken before."""
        self.last_delivered = max([self.last_delivered, *(message.seq for message in messages)])

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

    What the program got counts as delivered for the platform once a fetch names it in `after`; anything else goes to
    the task's next run, such as what waits for the end of a turn that a crash of this machine ends. A platform that has
    no messages ends it quietly. on_over: called with a reason if the run is over.
    """

    def __init__(self, url: str, run_id: str, token: RunToken, *, on_over: Callable[[str], None]) -> None:
        self.inbox = Inbox()
        self._url, self._run_id, self._token = url, run_id, token
        self._on_over = on_over
        self._last_fetched = self._acknowledged = 0
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

    def acknowledge(self, cancellation: Cancellation) -> None:
        """Have what the program got count as delivered. Call it after `stop`. Raises Cancelled."""
        if self.inbox.last_delivered > self._acknowledged:
            api = RunApi(self._url, self._run_id, self._token, cancellation)
            self._guarded(lambda: self._read(api, wait_seconds=0))

    def __enter__(self) -> Self:
        self.go_on()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _fetch(self, api: RunApi, ending: Cancellation) -> None:
        with contextlib.suppress(Cancelled):
            self._guarded(lambda: self._fetch_all(api, ending))

    def _fetch_all(self, api: RunApi, ending: Cancellation) -> None:
        while True:
            began = time.monotonic()
            # The platform does not hold a request for messages that it has sent already.
            is_waiting = self._last_fetched > self.inbox.last_delivered
            found = self._read(api, wait_seconds=0 if is_waiting else LONG_POLL_SECONDS)
            messages = sorted((it for it in found if it.seq > self._last_fetched), key=lambda it: it.seq)
            if messages:
                self._last_fetched = messages[-1].seq
                self.inbox.put(messages)
            elif time.monotonic() - began < _SHORTEST_ROUND_SECONDS:
                ending.sleep(_SHORTEST_ROUND_SECONDS)

    def _read(self, api: RunApi, *, wait_seconds: int) -> Sequence[PersonMessage]:
        told = self.inbox.last_delivered
        found = api.read_messages(told, wait_seconds=wait_seconds)
        self._acknowledged = told
        return found

    def _guarded(self, call: Callable[[], object]) -> None:
        try:
            call()
        except RunOver as error:
            self._on_over(str(error))
        except (NotFound, ProviderRefused) as error:
            logger.warning("no messages can be fetched", extra={"run_id": self._run_id, "reason": str(error)})


def as_prompt(messages: Sequence[PersonMessage]) -> str:
    """The messages as a text for the agent."""
    return "\n\n".join(f"A message from {it.author or 'a person'}:\n\n{it.text}" for it in messages)
