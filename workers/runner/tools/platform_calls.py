"""The calls that the platform's tools make for the agent, with the run's token. Each is bounded in time.

The reports of a run wait for a platform that is away as long as it takes; a tool must not, because the coding CLI
would end the call and the agent would not know why.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from common.errors import ProviderUnavailable
from common.machine.text import camel_case
from common.values.json_codec import Malformed, decode
from workers.runner.platform_client.client import Json, RunApi, RunToken
from workers.runner.processes.cancellation import Cancellation, Cancelled, Why

Result = TypeVar("Result")

CALL_SECONDS = 30.0
"""How long a call may take, waits for a platform that is away included."""


@dataclass(frozen=True)
class ToolQuestion:
    """A question that the platform has stored. status: pending, answered or withdrawn. response: None until answered.

    responded_by: who answered; `default` if nobody did in time and the question's default counts.
    """

    id: str
    status: str = "pending"
    response: str | None = None
    responded_by: str | None = None

    @property
    def is_open(self) -> bool:
        return self.response is None and self.status != "withdrawn"


class ToolApi:
    """Every call raises ProviderUnavailable if the platform does not answer in call_seconds, RunOver if the run has
    ended, Cancelled if `cancellation`, the run's, is set, and ProviderRefused with the platform's reason.
    """

    def __init__(
        self, url: str, run_id: str, token: RunToken, cancellation: Cancellation, *, call_seconds: float = CALL_SECONDS
    ) -> None:
        self._url = url
        self._run_id = run_id
        self._token = token
        self._cancellation = cancellation
        self._call_seconds = call_seconds

    def ask(
        self, question: str, *, context: str | None, options: Sequence[str], blocking: bool, default: str | None
    ) -> ToolQuestion:
        """Store a question. Repeating it returns the stored one, with its answer, if any."""
        body: Json = {"question": question, "context": context, "options": list(options), "blocking": blocking,
                      "defaultResponse": default}  # fmt: skip
        given = {key: value for key, value in body.items() if value is not None}
        return _question(self._call("POST", "/questions", given))

    def read_question(self, question_id: str, *, wait_seconds: int) -> ToolQuestion:
        """The question, as soon as it is not pending any more, and at the latest after wait_seconds."""
        path = f"/questions/{question_id}?wait={wait_seconds}"
        return _question(self._call("GET", path, extra_seconds=wait_seconds))

    def report_progress(self, message: str, done: int | None, total: int | None) -> None:
        body = {"message": message, "done": done, "total": total}
        self._call("POST", "/progress", {key: value for key, value in body.items() if value is not None})

    def read_task(self) -> Json:
        return self._call("GET", "/task")

    def read_feedback(self) -> Json:
        return self._call("GET", "/feedback")

    def list_tasks(self) -> Json:
        return self._call("GET", "/tasks")

    def propose(self, proposals: Sequence[Mapping[str, str]]) -> Json:
        return self._call("POST", "/proposals", {"proposals": [dict(proposal) for proposal in proposals]})

    def submit_review(self, verdict: str, summary: str, comments: Sequence[Json]) -> None:
        self._call("POST", "/review", {"verdict": verdict, "summary": summary, "comments": [*comments]})

    def _call(self, method: str, path: str, body: Json | None = None, *, extra_seconds: float = 0) -> Json:
        return self._in_time(lambda api: api.call(method, path, json=body), self._call_seconds + extra_seconds)

    def _in_time(self, send: Callable[[RunApi], Result], seconds: float) -> Result:
        with self._limit(seconds) as limit:
            api = RunApi(self._url, self._run_id, self._token, limit)
            try:
                return limit.abandonable(lambda: send(api))
            except Cancelled as error:
                self._cancellation.check()
                raise ProviderUnavailable(str(error)) from error

    @contextlib.contextmanager
    def _limit(self, seconds: float) -> Iterator[Cancellation]:
        """A Cancellation that is set after so many seconds, and when the run's is."""
        limit = Cancellation()
        timer = threading.Timer(seconds, limit.cancel, (Why.LIMIT, f"it did not answer within {seconds:g} s"))
        timer.daemon = True
        timer.start()
        try:
            with self._cancellation.calling(lambda: limit.cancel(Why.CANCELLED)):
                yield limit
        finally:
            timer.cancel()


def _question(reply: Json) -> ToolQuestion:
    try:
        return decode(ToolQuestion, reply.get("question"), key_of=camel_case)
    except Malformed as error:
        raise ProviderUnavailable(f"its answer has an unexpected shape: {error}") from error
