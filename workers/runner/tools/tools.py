"""The platform's tools for the agent, as the runner answers them with the run's token. mcp_server.py describes them.

A tool's failure is a text for the agent: what happened, and what to do instead.
"""

from __future__ import annotations

import contextlib
import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from common.errors import NotFound, ProviderRefused, ProviderUnavailable
from common.machine.waiting import Deadline
from workers.runner.drivers.program import ToolCall
from workers.runner.platform_client.client import Json, RunOver
from workers.runner.processes.cancellation import Cancelled
from workers.runner.tools.platform_calls import ToolApi, ToolQuestion
from workers.runner.tools.review_verdict import TOOL as SUBMIT_REVIEW
from workers.runner.tools.review_verdict import Verdict, Verdicts
from workers.runner.tools.tool_socket import Reply, Request

Value = TypeVar("Value")

Arguments = Mapping[str, object]

POLL_SECONDS = 5
"""How long one look at a question waits; between two looks, an abandoned call is noticed."""

NO_ANSWER_YET = "No answer yet. Stop now, without doing anything else: you will be started again with the answer."
ASKED = "Asked. Go on with your best assumption; the answer will be delivered to you."
WITHDRAWN = "The question was withdrawn: nobody will answer it. Decide yourself, and say so in your summary."
PROGRESS_SHOWN = "Shown to the people who follow the task."
REVIEW_NOTED = "Noted. End your turn now: the platform checks your last commit, and then people review it."
REVIEW_WITHOUT_ANSWER = (
    "Noted, although a question of yours has no answer. It will be withdrawn when your turn ends. If you can't do "
    "without the answer, ask the question again instead."
)
RUN_OVER = "The run is over: the platform takes no more work for it. Stop now."


class _WrongArgument(Exception):
    """An argument has the wrong type, or is missing. The message is for the agent."""


class PlatformToolHandler:
    """Answers the tools of one run. Its methods may be called from any thread.

    hold_seconds: how long a question waits for its answer within the call; below the tool timeout of every coding CLI.
    on_over: called with the reason when the platform takes no more calls for the run. verdicts: of a run that reviews
    the work of another agent; None: it is no review.
    """

    def __init__(
        self, api: ToolApi, *, hold_seconds: float, on_over: Callable[[str], None], verdicts: Verdicts | None = None
    ) -> None:
        self._api = api
        self._hold_seconds = hold_seconds
        self._on_over = on_over
        self._verdicts = verdicts
        self._lock = threading.Lock()
        self._open: set[str] = set()
        self._review_summary: str | None = None
        self._tools: dict[str, Callable[[Request], str]] = {
            "report_progress": self._report_progress,
            "get_task": lambda _request: _as_text(self._api.read_task()),
            "get_feedback": lambda _request: _as_text(self._api.read_feedback()),
        }
        if verdicts is not None:
            self._tools[SUBMIT_REVIEW] = lambda request: verdicts.call(
                _verdict(request.arguments), request.is_abandoned
            )
        else:
            self._tools |= {
                "ask_user_question": self._ask,
                "list_project_tasks": lambda _request: _as_text(self._api.list_tasks()),
                "propose_tasks": self._propose,
                "request_review": self._request_review,
            }

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._tools)

    @property
    def is_question_open(self) -> bool:
        """Whether the agent needs an answer that it did not get: the run then ends as waiting.

        False after request_review: the agent went on without the answer.
        """
        with self._lock:
            return bool(self._open)

    @property
    def review_summary(self) -> str | None:
        """The summary of the agent's last request_review, or of its verdict; None if it made none."""
        if self._verdicts is not None:
            return self._verdicts.summary
        with self._lock:
            return self._review_summary

    def show(self, call: ToolCall) -> None:
        """The program's output has shown this call, of whichever tool. Returns at once."""
        # Each program puts something of its own around a tool's name, such as mcp__aiworker__submit_review.
        if self._verdicts is not None and SUBMIT_REVIEW in call.name:
            with contextlib.suppress(_WrongArgument):
                self._verdicts.show(_verdict(call.input))

    def answer(self, request: Request) -> Reply:
        tool = self._tools.get(request.tool)
        if tool is None:
            return Reply(False, f"There is no tool {request.tool[:100]!r}. The tools: {', '.join(self._tools)}")
        try:
            return Reply(True, tool(request))
        except _WrongArgument as error:
            return Reply(False, str(error))
        except RunOver as error:
            self._on_over(str(error))
            return Reply(False, RUN_OVER)
        except Cancelled:
            return Reply(False, RUN_OVER)
        except ProviderUnavailable as error:
            return Reply(False, f"The platform does not answer at the moment ({error}). Go on, or try again later.")
        except (ProviderRefused, NotFound) as error:
            return Reply(False, f"The platform refused the call: {error}")

    def ask(
        self,
        question: str,
        *,
        context: str | None = None,
        options: tuple[str, ...] = (),
        blocking: bool = True,
        default: str | None = None,
        is_abandoned: Callable[[], bool] = lambda: False,
    ) -> str | None:
        """Ask, and hold until there is an answer. For a coding CLI's own question tool, too.

        Returns the text for the agent; None if there is no answer yet, and the run is to end as waiting. Raises as
        ToolApi.
        """
        asked = self._api.ask(question, context=context, options=options, blocking=blocking, default=default)
        if not blocking:
            return ASKED if asked.is_open else _text_of(asked)
        with self._lock:
            self._open.add(asked.id)
            self._review_summary = None
        asked = self._hold(asked, is_abandoned)
        if asked.is_open:
            return None
        with self._lock:
            self._open.discard(asked.id)
        return _text_of(asked)

    def _hold(self, asked: ToolQuestion, is_abandoned: Callable[[], bool]) -> ToolQuestion:
        """The question, once it is not pending any more, the hold is over, or the client is gone."""
        deadline = Deadline(self._hold_seconds)
        while asked.is_open and not deadline.is_over and not is_abandoned():
            wait = max(1, min(POLL_SECONDS, round(deadline.left_seconds)))
            began = time.monotonic()
            try:
                asked = self._api.read_question(asked.id, wait_seconds=wait)
            except ProviderUnavailable:
                return asked  # it is stored: the answer starts another run
            if asked.is_open and time.monotonic() - began < wait / 2:
                # The platform did not hold the request: the pause prevents a busy loop.
                threading.Event().wait(min(1.0, deadline.left_seconds))
        return asked

    def _ask(self, request: Request) -> str:
        given = request.arguments
        blocking = _optional(given, "blocking", bool)
        answer = self.ask(
            _text(given, "question"),
            context=_optional(given, "context", str),
            options=tuple(_texts(given, "options")),
            blocking=blocking is not False,
            default=_optional(given, "default", str) or None,
            is_abandoned=request.is_abandoned,
        )
        return NO_ANSWER_YET if answer is None else answer

    def _report_progress(self, request: Request) -> str:
        given = request.arguments
        self._api.report_progress(_text(given, "message"), _count(given, "done"), _count(given, "total"))
        return PROGRESS_SHOWN

    def _propose(self, request: Request) -> str:
        tasks = request.arguments.get("tasks")
        if not isinstance(tasks, list) or not tasks or not all(isinstance(task, dict) for task in tasks):
            raise _WrongArgument('"tasks" must be a list of objects with "title" and "description".')
        proposals = [
            {"title": " ".join(_text(task, "title").split()), "description": _optional(task, "description", str) or ""}
            for task in tasks
        ]
        stored = self._api.propose(proposals)
        return f"Proposed; a person decides which of them are created.\n{_as_text(stored)}"

    def _request_review(self, request: Request) -> str:
        summary = _text(request.arguments, "summary")
        with self._lock:
            self._review_summary = summary
            had_question = bool(self._open)
            self._open.clear()
        return REVIEW_WITHOUT_ANSWER if had_question else REVIEW_NOTED


def _verdict(given: Arguments) -> Verdict:
    summary, comments = _text(given, "summary"), given.get("comments") or []
    if not isinstance(comments, list) or not all(isinstance(comment, dict) for comment in comments):
        raise _WrongArgument('"comments" must be a list of objects with "path", "line" and "body".')
    return Verdict(_text(given, "verdict"), summary, [_remark(comment) for comment in comments])


def _remark(given: Arguments) -> Json:
    line, side = _count(given, "line"), _optional(given, "side", str)
    if line is None:
        raise _WrongArgument('Each of the "comments" needs a "line"; say in the summary what belongs to none.')
    remark: Json = {"path": _text(given, "path"), "line": line, "body": _text(given, "body")}
    return remark if side is None else {**remark, "side": side}


def _text_of(asked: ToolQuestion) -> str:
    if asked.response is None:
        return WITHDRAWN
    if asked.responded_by == "default":
        return f"Nobody answered in time. Your default counts: {asked.response}"
    return asked.response


def _as_text(reply: Mapping[str, object]) -> str:
    return json.dumps(reply, ensure_ascii=False, indent=1)


def _text(given: Arguments, name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _WrongArgument(f'"{name}" must be a text that is not empty.')
    return value


def _texts(given: Arguments, name: str) -> list[str]:
    values = given.get(name)
    if values is None:
        return []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise _WrongArgument(f'"{name}" must be a list of texts.')
    return [value for value in values if value.strip()]


def _count(given: Arguments, name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    # Models write 3.0, and bool is an int for Python. JSON's 1e999 is infinite.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise _WrongArgument(f'"{name}" must be a whole number, 0 or more.')
    return int(value)


def _optional(given: Arguments, name: str, kind: type[Value]) -> Value | None:
    value = given.get(name)
    if value is not None and not isinstance(value, kind):
        raise _WrongArgument(f'"{name}" has the wrong type.')
    return value
