"""The language of the scripted driver: fenced blocks tagged `steps` in a task's description.

Each block is a YAML list of steps; block n is for round n, and the last block for every later round. A step is a
mapping with one key: write, append, replace, delete, run, apply, say, ask, sleep, fail or review. Parsing is pure;
every error is a StepError whose message contains the step's number, counted from 1. What a reviewer does is in blocks
tagged `review`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

_FENCE = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})(?P<tag>[^`]*)")
MOST_STEPS = 1000
LONGEST_SLEEP_SECONDS = 86_400.0


class StepError(Exception):
    """The steps are invalid. The message is for the author of the task."""


@dataclass(frozen=True)
class Write:
    path: str
    content: str


@dataclass(frozen=True)
class Append:
    path: str
    content: str


@dataclass(frozen=True)
class Replace:
    """Replace every occurrence of old, which is not empty."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Delete:
    path: str


@dataclass(frozen=True)
class RunCommand:
    command: str


@dataclass(frozen=True)
class ApplySuggestions:
    """Apply the changes that the review suggested; without any, nothing is done."""


@dataclass(frozen=True)
class Say:
    text: str


@dataclass(frozen=True)
class Ask:
    question: str
    context: str | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sleep:
    seconds: float


@dataclass(frozen=True)
class Fail:
    reason: str


@dataclass(frozen=True)
class Review:
    """comments: each with path, line and body; the platform checks them."""

    verdict: str
    summary: str
    comments: tuple[Mapping[str, object], ...] = ()


Step = Write | Append | Replace | Delete | RunCommand | ApplySuggestions | Say | Ask | Sleep | Fail | Review


def steps_for_round(description: str, round_number: int, *, tag: str = "steps") -> list[Step]:
    """Return the steps of a round, counted from 1. Raises StepError if they are invalid or there is no block.

    tag: `steps`, or `review` for those of a reviewer.
    """
    blocks = _blocks(description, tag)
    if not blocks:
        raise StepError(
            f"The scripted driver needs a fenced block tagged `{tag}` in the task's description, and there is none. "
            "Add one, or give the task to another driver."
        )
    return parse_steps(blocks[min(max(round_number, 1), len(blocks)) - 1])


def _blocks(description: str, tag: str) -> list[str]:
    """Return the bodies of the fenced blocks with this tag, by Markdown's rules. A block without an end is ignored.

    Parsed line by line, because a regular expression over the whole text takes minutes on some hostile texts.
    """
    blocks: list[str] = []
    fence, is_steps, body = "", False, [""]
    for line in description.replace("\r\n", "\n").split("\n"):
        match = _FENCE.fullmatch(line)
        if not fence:
            if match:
                fence, is_steps, body = match["fence"], match["tag"].split()[:1] == [tag], []
        elif match and match["fence"].startswith(fence) and not match["tag"].strip():
            if is_steps:
                blocks.append("\n".join(body) + "\n")
            fence = ""
        else:
            body.append(line)
    return blocks


def parse_steps(text: str) -> list[Step]:
    """Parse one block's YAML. Raises StepError."""
    try:
        steps = yaml.safe_load(text)
    # PyYAML raises ValueError for an invalid number or date, and RecursionError for deeply nested brackets.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise StepError(f"The steps are not valid YAML: {_one_line(error)}") from error
    if not isinstance(steps, list) or not steps:
        raise StepError("The steps must be a YAML list with at least one step.")
    if len(steps) > MOST_STEPS:
        raise StepError(f"There are {len(steps)} steps; at most {MOST_STEPS} are allowed.")
    return [_parse_step(number, step) for number, step in enumerate(steps, start=1)]


def _parse_step(number: int, step: object) -> Step:
    if not isinstance(step, dict) or len(step) != 1:
        raise StepError(f'Step {number} must be a mapping with one key, such as `say: "Hello"`.')
    kind, value = next(iter(step.items()))
    parse = _PARSERS.get(kind) if isinstance(kind, str) else None
    if parse is None:
        raise StepError(f"Step {number}: there is no step {_shown(kind)}; use one of: {', '.join(_PARSERS)}.")
    return parse(_Value(number, str(kind), value))


@dataclass(frozen=True)
class _Value:
    """The value of a step's key, with the number and kind of the step for error messages."""

    number: int
    kind: str
    value: object

    def wrong(self, message: str) -> StepError:
        return StepError(f"Step {self.number} ({self.kind}): {message}")

    def text(self) -> str:
        return self._text("its value", self.value)

    def fields(self, *required: str, optional: tuple[str, ...] = ()) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            raise self.wrong(f"needs a mapping with {', '.join(required)}")
        known = (*required, *optional)
        for name in self.value:
            if name not in known:
                raise self.wrong(f"has no field {_shown(name)}; its fields are: {', '.join(known)}")
        for name in required:
            if name not in self.value:
                raise self.wrong(f"lacks the field {name}")
        return self.value

    def field(self, name: str, *, may_be_empty: bool = False) -> str:
        assert isinstance(self.value, dict), "fields() has found a mapping"
        return self._text(name, self.value[name], may_be_empty=may_be_empty)

    def _text(self, name: str, value: object, *, may_be_empty: bool = False) -> str:
        if not isinstance(value, str):
            raise self.wrong(f"{name} must be text; put it in quotes")
        if not value and not may_be_empty:
            raise self.wrong(f"{name} is empty")
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise self.wrong(f"{name} contains a character that files and commands can't contain")
        return value


def _write(value: _Value) -> Step:
    value.fields("path", "content")
    return Write(value.field("path"), value.field("content", may_be_empty=True))


def _append(value: _Value) -> Step:
    value.fields("path", "content")
    return Append(value.field("path"), value.field("content"))


def _replace(value: _Value) -> Step:
    value.fields("path", "old", "new")
    return Replace(value.field("path"), value.field("old"), value.field("new", may_be_empty=True))


def _apply(value: _Value) -> Step:
    if value.text() != "suggestions":
        raise value.wrong("can only apply `suggestions`")
    return ApplySuggestions()


def _ask(value: _Value) -> Step:
    if isinstance(value.value, str):
        return Ask(value.text())
    fields = value.fields("question", optional=("context", "options"))
    options = fields.get("options") or []
    if not isinstance(options, list) or not all(isinstance(option, str) and option for option in options):
        raise value.wrong("options must be a list of texts")
    context = value.field("context", may_be_empty=True) if fields.get("context") is not None else None
    return Ask(value.field("question"), context, tuple(options))


def _review(value: _Value) -> Step:
    fields = value.fields("verdict", "summary", optional=("comments",))
    comments = fields.get("comments") or []
    if not isinstance(comments, list) or not all(isinstance(comment, dict) for comment in comments):
        raise value.wrong("comments must be a list of mappings with path, line and body")
    return Review(value.field("verdict"), value.field("summary"), tuple(comments))


def _sleep(value: _Value) -> Step:
    seconds = value.value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        raise value.wrong("needs a number of seconds")
    if not 0 <= seconds <= LONGEST_SLEEP_SECONDS:
        raise value.wrong(f"must be from 0 to {LONGEST_SLEEP_SECONDS:.0f} seconds")
    return Sleep(float(seconds))


_PARSERS: dict[str, Callable[[_Value], Step]] = {
    "write": _write,
    "append": _append,
    "replace": _replace,
    "delete": lambda value: Delete(value.text()),
    "run": lambda value: RunCommand(value.text()),
    "apply": _apply,
    "say": lambda value: Say(value.text()),
    "ask": _ask,
    "sleep": _sleep,
    "fail": lambda value: Fail(value.text()),
    "review": _review,
}


def _shown(value: object) -> str:
    # For a list or mapping only its type: YAML references can make its text endless.
    return repr(value)[:60] if isinstance(value, str | int | float) else f"a {type(value).__name__}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
