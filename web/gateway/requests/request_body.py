"""Reads what the gateway has to know of a request's body, and changes the model that it names.

An agent may send 32 MiB of anything. Made into Python objects, they would hold the process for seconds and take a
gigabyte; msgspec walks over what is not asked for.
"""

from __future__ import annotations

import re
from itertools import islice

import msgspec

LONGEST_NAME = 1000
"""Of a model, in bytes as it is written."""
LONGEST_NAMES = 10_000
"""Of all models in a list of them, in bytes as it is written."""
LONGEST_TOOLS = 2**20
"""Of all tools, in bytes as they are written."""
MOST_NAMED = 8
"""In how many places a request may name a model before the one that counts."""

_NAMED = re.compile(rb'"model"\s*+:\s*+("(?:[^"\\]++|\\.)*+")')


class _Request(msgspec.Struct):
    model: msgspec.Raw = msgspec.Raw(b'""')
    background: msgspec.Raw = msgspec.Raw(b"false")
    previous_response_id: msgspec.Raw = msgspec.Raw(b"null")
    conversation: msgspec.Raw = msgspec.Raw(b"null")
    prompt: msgspec.Raw = msgspec.Raw(b"null")
    models: msgspec.Raw = msgspec.Raw(b"null")
    fallbacks: msgspec.Raw = msgspec.Raw(b"null")
    fallback: msgspec.Raw = msgspec.Raw(b"null")
    route: msgspec.Raw = msgspec.Raw(b"null")
    tools: msgspec.Raw = msgspec.Raw(b"null")


class _ToolSettings(msgspec.Struct):
    model: msgspec.Raw = msgspec.Raw(b"null")


class _Tool(msgspec.Struct):
    """parameters: of a tool of OpenRouter's own; of a function, they describe its arguments."""

    type: msgspec.Raw = msgspec.Raw(b'""')
    model: msgspec.Raw = msgspec.Raw(b"null")
    parameters: msgspec.Raw = msgspec.Raw(b"null")


_request = msgspec.json.Decoder(_Request)
_tools = msgspec.json.Decoder(list[_Tool] | None)
_tool_settings = msgspec.json.Decoder(_ToolSettings | None)
_text = msgspec.json.Decoder(str)


def model_of(body: bytes) -> str | None:
    """The name of the model that a request asks for; empty if it names none, None if it is no object in JSON."""
    try:
        written = bytes(_asked(body).model)
        return _text.decode(written) if written[:1] == b'"' and len(written) <= LONGEST_NAME else ""
    except (msgspec.DecodeError, RecursionError):
        return None


def is_for_background(body: bytes) -> bool | None:
    """Whether a request asks for an answer that is made after the reply; None if it is no object in JSON."""
    try:
        return bytes(_asked(body).background) not in {b"false", b"null"}
    except (msgspec.DecodeError, RecursionError):
        return None


def kept_context_of(body: bytes) -> str | None:
    """The field by which a request goes on with a context that the provider keeps; None without one.

    Also None if the request is no object in JSON.
    """
    try:
        asked = _asked(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    named = {
        "previous_response_id": asked.previous_response_id, "conversation": asked.conversation, "prompt": asked.prompt,
    }  # fmt: skip
    return next((name for name, value in named.items() if bytes(value) != b"null"), None)


def other_models_of(body: bytes) -> list[str]:
    """The models that a request lets its provider take instead of its `model` or beside it; empty also if it is no
    object in JSON.

    An empty name stands for a model that the request does not name.
    `models` and `route` are OpenRouter's, `fallbacks` is Anthropic's and OpenRouter's, `fallback` is other proxies'.
    Tools have models of their own, such as an advisor.
    """
    try:
        asked = _asked(body)
    except (msgspec.DecodeError, RecursionError):
        return []
    named = [*_names(asked.models), *_names(asked.fallbacks), *_names(asked.fallback)]
    if not named and bytes(asked.route) != b"null":
        # Without a list, OpenRouter chooses.
        named = [""]
    return [*named, *_models_of_tools(bytes(asked.tools))]


def _models_of_tools(written: bytes) -> list[str]:
    if len(written) > LONGEST_TOOLS:
        return [""]
    try:
        tools = _tools.decode(written) or []
        own = [_tool_settings.decode(one.parameters) for one in tools if bytes(one.type).startswith(b'"openrouter:')]
    except (msgspec.DecodeError, RecursionError):
        return [""]
    return [name for one in (*tools, *own) if one is not None for name in _names(one.model)]


def _names(written: msgspec.Raw) -> list[str]:
    if len(bytes(written)) > LONGEST_NAMES:
        return [""]
    try:
        found = msgspec.json.decode(written)
    except (msgspec.DecodeError, RecursionError):
        return [""]
    listed = found if isinstance(found, list) else [] if found is None else [found]
    names = (one.get("model") if isinstance(one, dict) else one for one in listed)
    return [name if isinstance(name, str) else "" for name in names]


def with_model(body: bytes, model: str) -> bytes | None:
    """The same request for this model, and as it is written in all else; None if its own can't be found."""
    if model_of(body) == model:
        return body
    name = msgspec.json.encode(model)
    for found in islice(_NAMED.finditer(body), MOST_NAMED):
        changed = body[: found.start(1)] + name + body[found.end(1) :]
        # Else it was the model of something within the request.
        if model_of(changed) == model:
            return changed
    first, _brace, rest = body.partition(b"{")
    changed = first + b'{"model":' + name + (b"}" if rest.strip() == b"}" else b"," + rest)
    return changed if model_of(changed) == model else None


def _asked(body: bytes) -> _Request:
    try:
        return _request.decode(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # JavaScript writes half of a character at which a text was cut as a lone surrogate, which msgspec refuses.
        return _request.decode(body.replace(rb"\ud", rb"\u0").replace(rb"\uD", rb"\u0"))
