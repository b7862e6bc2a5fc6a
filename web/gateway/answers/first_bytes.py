"""Whether a provider has begun to give its answer. Until then, another one can give it instead."""

from __future__ import annotations

import codecs
import json

from web.gateway.model_apis import Format

_BEFORE_CONTENT: dict[Format, frozenset[str]] = {
    "anthropic": frozenset({"message_start", "ping", "error"}),
    "responses": frozenset({"response.created", "response.queued", "response.in_progress", "response.failed", "error"}),
}
"""The types of events that come before the content, or instead of it."""

_ERRORS_IN_JSON = (b'{"error":', b'{"type":"error","error":')
"""How JSON begins that is an error, without white space. The second is Anthropic's."""
_LONGEST_START = 200
"""As much of JSON as shows how it begins, with its white space."""


def may_be_error(start: bytes) -> bool:
    """Whether an answer in JSON that starts like this may be an error, or a list of one, and nothing else."""
    said = b"".join(start[:_LONGEST_START].removeprefix(codecs.BOM_UTF8).split()).removeprefix(b"[")
    return any(said.startswith(error) or error.startswith(said) for error in _ERRORS_IN_JSON)


def has_content(format_: Format, lines: bytes) -> bool:
    """Whether the lines of a stream contain more than comments, what comes before the content, errors and an end."""
    data = (line[5:] for line in lines.split(b"\n") if line.startswith(b"data:"))
    return any(_is_content(format_, one) for one in data)


def _is_content(format_: Format, data: bytes) -> bool:
    if data.strip() == b"[DONE]":
        return False
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return True
    if not isinstance(event, dict):
        return True
    if format_ in _BEFORE_CONTENT:
        return str(event.get("type")) not in _BEFORE_CONTENT[format_] and not event.get("error")
    if event.get("error"):
        return False
    if format_ == "gemini":
        return True
    choices = event.get("choices")
    # The first chunk often has the role alone.
    return bool(event.get("usage")) or not isinstance(choices, list) or any(map(_says, choices))


def _says(choice: object) -> bool:
    """Whether a choice of a chunk of Chat Completions has anything of the answer."""
    if not isinstance(choice, dict) or choice.get("finish_reason"):
        return True
    delta = choice.get("delta")
    return not isinstance(delta, dict) or any(value for name, value in delta.items() if name != "role")
