"""Writes what a program says and does into the run's transcript: one entry for each event, with bounded details."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from workers.runner.drivers.program import (
    End,
    Event,
    Note,
    Plan,
    SessionStarted,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from workers.runner.transcript.changed_files import ChangedFiles
from workers.runner.transcript.edit_diffs import diff_of
from workers.runner.transcript.reports import RunLog, shortened

LONGEST_STRING = 8000
"""Most characters of one text in a tool's input."""
LARGEST_INPUT = 24_000
"""Most characters of a tool's whole input. With a diff it stays below the platform's 64 KiB."""
LONGEST_CALL_ID = 80
MOST_OPEN_CALLS = 1000
"""Most calls without a result that are remembered; of earlier ones neither a duration nor a diff is told."""
_LARGEST_NUMBER = 2**63 - 1
"""The largest whole number that the platform takes."""
_DEEPEST = 8
_MOST_ITEMS = 200
_COMMANDS = ("command", "cmd", "script")


class Transcript:
    """One run's transcript, over all processes of its program.

    changed: None: only edits that are told have diffs. clock: seconds, from which a call's duration is taken.
    """

    def __init__(
        self,
        log: RunLog,
        *,
        program: str,
        workspace: Path,
        changed: ChangedFiles | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._clock = clock
        self._program = program
        self._workspace = workspace
        self._process = 0
        self._changed = changed
        # By the part of a call's id that is shown: when it began, and the names of the files that it changes.
        self._open: dict[str, tuple[float, Sequence[str]]] = {}
        self.last_text = ""
        """What the program said last."""

    def next_process(self) -> None:
        """A further process starts, whose calls may have the ids of earlier ones."""
        self._process += 1
        self._open.clear()

    def note(self, text: str, *, level: str = "info") -> None:
        self._log.add_whole("log", text, level=level)

    def write(self, event: Event) -> None:
        """Add an event."""
        match event:
            case SessionStarted(id, model, fault):
                self.note(f"{self._program} session {id}" + (f", {model}" if model else ""))
                if fault:
                    self.note(f"{self._program} works without the platform's tools: {fault}", level="warn")
            case Text(text):
                self.last_text = text.strip() or self.last_text
                self._log.add_whole("text", text)
            case Thinking(text):
                self._log.add_whole("thinking", text)
            case ToolCall():
                self._call(event)
            case ToolResult():
                self._result(event)
            case Plan(steps):
                done = sum(is_done for _, is_done in steps)
                listed = [{"text": text[:1000], "done": is_done} for text, is_done in steps[:_MOST_ITEMS]]
                self._log.add_whole("plan", f"{done} of {len(steps)} steps are done", details={"steps": listed[:60]})
            case Note(text):
                self.note(text)
            case End(ok, text):
                if not ok and text:
                    self.note(text, level="warn")

    def _call(self, call: ToolCall) -> None:
        began = self._clock()
        details: dict[str, object] = {"name": call.name, "input": bounded_input(call.input)}
        if command := _command(call.input):
            details["command"] = shortened(command, LONGEST_STRING)
        names: Sequence[str] = ()
        if diff := diff_of(call.input, self._workspace):
            details["diff"] = diff
        elif self._changed is not None:
            names = self._changed.names(call.input)
        # A call that is told again begins anew.
        self._open.pop(_short(call.id), None)
        self._open[_short(call.id)] = began, names
        if len(self._open) > MOST_OPEN_CALLS:
            del self._open[next(iter(self._open))]
        self._log.add_whole("tool", _title(call, command), call_id=self._id(call.id), details=details)

    def _result(self, result: ToolResult) -> None:
        details: dict[str, object] = {"ok": result.ok}
        if result.exit_code is not None:
            details["exitCode"] = result.exit_code
        if (known := self._open.pop(_short(result.id), None)) is not None:
            began, names = known
            details["durationMs"] = round((self._clock() - began) * 1000)
            if self._changed is not None and names and (diff := self._changed.diff(names)):
                details["diff"] = diff
        level = "info" if result.ok else "error"
        self._log.add_whole("result", result.text, level=level, call_id=self._id(result.id), details=details)

    def _id(self, call_id: str) -> str:
        short = _short(call_id)
        return short if self._process <= 1 else f"{self._process}:{short}"


def _short(call_id: str) -> str:
    return call_id[-LONGEST_CALL_ID:]


def bounded_input(value: Mapping[str, object]) -> object:
    """A tool's input as JSON of bounded size: long texts lose their middle, deep and long collections their rest.

    Numbers that JSON can't hold, or that the platform doesn't take, become texts.
    """
    bounded = _bounded(value, _DEEPEST)
    size = len(json.dumps(bounded))
    if size > LARGEST_INPUT:
        return {"leftOut": f"The input has {size} characters.", "keys": [str(key)[:200] for key in list(value)[:50]]}
    return bounded


def _bounded(value: object, depth: int) -> object:
    if isinstance(value, str):
        return shortened(value, LONGEST_STRING)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST_NUMBER else str(value)
    if depth == 0:
        return "…"
    if isinstance(value, Mapping):
        return {str(key)[:200]: _bounded(item, depth - 1) for key, item in list(value.items())[:_MOST_ITEMS]}
    if isinstance(value, list | tuple):
        return [_bounded(item, depth - 1) for item in value[:_MOST_ITEMS]]
    return str(value)[:LONGEST_STRING]


def _command(arguments: Mapping[str, object]) -> str:
    for name in _COMMANDS:
        value = arguments.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, list | tuple) and all(isinstance(word, str) for word in value):
            return " ".join(map(str, value))
    return ""


def _title(call: ToolCall, command: str) -> str:
    """One line for people: the command, or the tool with its path or first text."""
    if command:
        return f"$ {command}"
    for name in ("file_path", "filePath", "path", "absolute_path", "pattern", "query", "url", "question", "message"):
        value = call.input.get(name)
        if isinstance(value, str) and value:
            return f"{call.name} {value[:500]}"
    return call.name
