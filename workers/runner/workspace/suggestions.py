"""A reviewer's suggestion as a patch that `git apply` takes. Pure: it is given the file's lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from common.values.runs.prompt_markers import Suggestion

CONTEXT = 3
INTRODUCTION = "Apply this change with `git apply`, or say why not:"
_NO_END = "\\ No newline at end of file\n"
_UNREADABLE = "\ufffd"
"""What bytes that are no UTF-8 are in the text of a file."""
_TO_QUOTE = re.compile(r'[\x00-\x1f\x7f"\\]')


def suggested_patch(suggestion: Suggestion, lines: Sequence[str]) -> str:
    """Return the patch; empty if the file has no such lines, if they are like that already, or if one of them, or of
    those around, is no UTF-8: the patch would not apply.

    lines: of the file that the suggestion is about, with their line ends. What is suggested gets the line ends of what
    it replaces.
    """
    first, last = suggestion.first, suggestion.last
    if not 1 <= first <= last <= len(lines):
        return ""
    old = list(lines[first - 1 : last])
    new = _with_ends_of(old, suggestion.text)
    if new == old:
        return ""
    before, after = lines[max(0, first - 1 - CONTEXT) : first - 1], lines[last : last + CONTEXT]
    if any(_UNREADABLE in line for line in (*before, *old, *after)):
        return ""
    around = len(before) + len(after)
    return "".join(
        [
            f"--- {_named('a/' + suggestion.path)}\n+++ {_named('b/' + suggestion.path)}\n",
            f"@@ {_span('-', first - len(before), around + len(old))} "
            f"{_span('+', first - len(before), around + len(new))} @@\n",
            *(_marked(" ", line) for line in before),
            *(_marked("-", line) for line in old),
            *(_marked("+", line) for line in new),
            *(_marked(" ", line) for line in after),
        ]
    )


def _named(path: str) -> str:
    """The path as git reads it in the head of a patch."""
    if any(ord(character) < 32 for character in path):
        return '"' + _TO_QUOTE.sub(lambda found: f"\\{ord(found[0]):03o}", path) + '"'
    return f"{path}\t" if " " in path else path


def _with_ends_of(old: Sequence[str], text: str) -> list[str]:
    end = "\r\n" if old[0].endswith("\r\n") else "\n"
    new = [f"{line}{end}" for line in text.split("\n")[:-1]]
    if new and not old[-1].endswith("\n"):
        new[-1] = new[-1].removesuffix(end)
    return new


def _span(sign: str, first: int, count: int) -> str:
    return f"{sign}{first if count else first - 1},{count}"


def _marked(sign: str, line: str) -> str:
    return f"{sign}{line}" if line.endswith("\n") else f"{sign}{line}\n{_NO_END}"


def as_text(suggestion: Suggestion, lines: Sequence[str]) -> str:
    """The suggestion for a prompt: as a patch if the file has such lines, else as it was written."""
    patch = suggested_patch(suggestion, lines)
    if not patch:
        return fenced("suggestion", suggestion.text)
    return f"{INTRODUCTION}\n{fenced('diff', patch)}"


def patches_of(prompt: str) -> list[str]:
    """The patches in a prompt, in their order."""
    patches: list[str] = []
    fence, body, is_told = "", [""], False
    for line in prompt.split("\n"):
        if fence:
            if line == fence:
                patches.append("".join(f"{each}\n" for each in body))
                fence = ""
            body.append(line)
        elif is_told and line.startswith("```") and line.endswith("diff"):
            fence, body = line.removesuffix("diff"), []
        is_told = line == INTRODUCTION
    return patches


def fenced(tag: str, text: str) -> str:
    """The text, which is empty or ends with a line end, as a code block."""
    fence = "`" * max(3, 1 + longest_run(text))
    return f"{fence}{tag}\n{text}{fence}"


def longest_run(text: str) -> int:
    """The number of backticks in the longest row of them."""
    longest = present = 0
    for character in text:
        present = present + 1 if character == "`" else 0
        longest = max(longest, present)
    return longest
