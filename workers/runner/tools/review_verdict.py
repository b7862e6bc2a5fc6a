"""The verdict of a review, from the reviewer's call of the tool to the platform.

Every process in the reviewer's sandbox reaches the socket of the tools, so code of the commit does that the reviewer
runs. Only the coding CLI itself writes its output. So a verdict is given only once that output has shown a call of the
tool with the same arguments. Most CLIs show a call before they make it; some show it when they have its answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from common.errors import NotFound, ProviderRefused, ProviderUnavailable
from common.machine.waiting import Deadline
from workers.runner.platform_client.client import Json
from workers.runner.tools.platform_calls import ToolApi

TOOL = "submit_review"
MOST_WAITING = 16
"""Most verdicts that wait for the output to show them; further ones are refused."""
NOTED = "Noted. End your turn now."
NOTED_UNSEEN = "Noted. It counts once the platform sees this call in your output. End your turn now."
TOO_MANY = "too many verdicts wait for the platform to see their calls in your output"
_POLL_SECONDS = 0.2
"""How often a waiting call is looked at: its client may have given it up."""


@dataclass(frozen=True)
class Verdict:
    """What one call says. The platform checks it."""

    verdict: str
    summary: str
    comments: Sequence[Json]


class Verdicts:
    """The verdicts of one run. Its methods may be called from any thread.

    hold_seconds: how long a call waits for the output to show it; then the agent is answered without that.
    """

    def __init__(self, api: ToolApi, *, hold_seconds: float) -> None:
        self._api = api
        self._hold_seconds = hold_seconds
        self._changed = threading.Condition()
        self._shown: list[Verdict] = []
        self._waiting: list[Verdict] = []
        self._given: Verdict | None = None
        self._is_settled = False

    @property
    def summary(self) -> str | None:
        """The summary of the verdict that the platform took last; None: it took none."""
        with self._changed:
            return None if self._given is None else self._given.summary

    def show(self, verdict: Verdict) -> None:
        """The program's output has shown a call that says this. Returns at once."""
        with self._changed:
            self._shown.append(verdict)
            self._changed.notify_all()

    def call(self, verdict: Verdict, is_abandoned: Callable[[], bool]) -> str:
        """Answer a call that came by the socket: give its verdict, or keep it until `settle`. Returns the text for the
        agent. Raises as ToolApi, and ProviderRefused if too many are kept.
        """
        with self._changed:
            if verdict not in self._shown and len(self._waiting) >= MOST_WAITING:
                raise ProviderRefused(TOO_MANY, code="too_many")
            self._waiting.append(verdict)
            deadline = Deadline(self._hold_seconds)
            while not (self._is_over(verdict) or deadline.is_over or is_abandoned()):
                self._changed.wait(min(_POLL_SECONDS, max(deadline.left_seconds, 0)))
            if verdict not in self._shown or self._is_settled:
                return NOTED_UNSEEN
            self._waiting.remove(verdict)
        self._give(verdict)
        return NOTED

    def settle(self) -> list[str]:
        """Give the verdicts whose calls the output has shown after they were answered. Called once, after the program
        has ended.

        Returns what people should know: what was refused, and how many calls were not shown. Raises RunOver and
        Cancelled.
        """
        with self._changed:
            self._is_settled = True
            waiting, self._waiting = self._waiting, []
            self._changed.notify_all()
            shown = [verdict for verdict in waiting if verdict in self._shown]
        notes = [_unseen(len(waiting) - len(shown))] if len(shown) < len(waiting) else []
        try:
            for verdict in shown:
                if self._given is None:
                    self._give(verdict)
        except (ProviderUnavailable, ProviderRefused, NotFound) as error:
            notes.append(f"The verdict was not taken: {error}")
        return notes

    def _is_over(self, verdict: Verdict) -> bool:
        """Whether a call with this verdict has nothing to wait for. Under the lock."""
        return self._is_settled or verdict in self._shown

    def _give(self, verdict: Verdict) -> None:
        self._api.submit_review(verdict.verdict, verdict.summary, verdict.comments)
        with self._changed:
            self._given = verdict


def _unseen(count: int) -> str:
    which = "1 call of submit_review is" if count == 1 else f"{count} calls of submit_review are"
    whose = "its verdict is" if count == 1 else "their verdicts are"
    return (
        f"{which} not in the output of the reviewer's program, so {whose} not given. "
        "A program that the review started may have made such a call."
    )
