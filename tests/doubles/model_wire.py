"""The four wire formats of the scripted model server: reads what a request says, writes what a step answers.

Anthropic Messages, OpenAI Responses, OpenAI Chat Completions, Gemini generateContent. Pure functions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

Json = dict[str, Any]
ConversationPart = tuple[str, str]
"""(`user`, text) or (`call`, name of a tool), in the order of the conversation."""
Payload = tuple[str | None, Json]
"""One event of a stream: its name, None without one, and its data."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one call. input: those that were not cached."""

    input: int
    cached: int
    output: int

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.input + other.input, self.cached + other.cached, self.output + other.output)


@dataclass(frozen=True)
class Fault:
    """An error of this status instead of an answer; `times` times for each conversation, then no more."""

    status: int = 500
    times: int = 1_000_000
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "scripted fault"


@dataclass(frozen=True)
class Step:
    """One answer of the model. raw: the input of one of codex's own tools that take plain text. namespace: codex's."""

    say: str = ""
    tool: str | None = None
    input: Mapping[str, object] = field(default_factory=dict)
    raw: str | None = None
    namespace: str | None = None
    fault: Fault | None = None


@dataclass(frozen=True)
class Wire:
    """read: what the conversation says. write: the events of a stream, last the whole answer."""

    api: str
    path: re.Pattern[str]
    read: Callable[[Json], Iterator[ConversationPart]]
    write: Callable[[Json, Step, Usage], Iterator[Payload]]
    ending: bytes = b""


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text") or "" for block in content or [] if isinstance(block, dict))


def _read_anthropic(body: Json) -> Iterator[ConversationPart]:
    for message in body.get("messages", []):
        content = message["content"]
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
        if message["role"] == "user":
            yield "user", _text([block for block in blocks if block.get("type") == "text"])
        yield from (("call", block["name"]) for block in blocks if block.get("type") == "tool_use")


def _read_responses(body: Json) -> Iterator[ConversationPart]:
    items = body.get("input", [])
    for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
        if item.get("role") == "user":
            yield "user", _text(item["content"])
        elif item.get("type") in ("function_call", "custom_tool_call"):
            yield "call", item["name"]


def _read_chat(body: Json) -> Iterator[ConversationPart]:
    for message in body.get("messages", []):
        if message["role"] == "user":
            yield "user", _text(message["content"])
        yield from (("call", call["function"]["name"]) for call in message.get("tool_calls") or [])


def _read_gemini(body: Json) -> Iterator[ConversationPart]:
    for message in body.get("contents", []):
        if message.get("role", "user") == "user":
            yield "user", _text(message["parts"])
        yield from (("call", part["functionCall"]["name"]) for part in message["parts"] if "functionCall" in part)


def _write_anthropic(body: Json, step: Step, usage: Usage) -> Iterator[Payload]:
    first = {
        "input_tokens": usage.input,
        "cache_read_input_tokens": usage.cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": 1,
    }
    message = {
        "id": f"msg_{uuid4().hex[:20]}",
        "type": "message",
        "role": "assistant",
        "model": body.get("model", "scripted"),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": first,
    }
    yield "message_start", {"type": "message_start", "message": message}
    text = {"type": "text", "text": step.say}
    blocks: list[tuple[Json, Json, Json]] = [({**text, "text": ""}, {"type": "text_delta", "text": step.say}, text)]
    if step.tool:
        use = {"type": "tool_use", "id": f"toolu_{uuid4().hex[:20]}", "name": step.tool}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(step.input)}
        blocks.append(({**use, "input": {}}, delta, {**use, "input": step.input}))
    for index, (start, delta, _) in enumerate(blocks):
        yield "content_block_start", {"type": "content_block_start", "index": index, "content_block": start}
        yield "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}
        yield "content_block_stop", {"type": "content_block_stop", "index": index}
    end = {"stop_reason": "tool_use" if step.tool else "end_turn", "stop_sequence": None}
    yield "message_delta", {"type": "message_delta", "delta": end, "usage": {"output_tokens": usage.output}}
    yield "message_stop", {"type": "message_stop"}
    whole = [block[2] for block in blocks]
    yield None, {**message, **end, "content": whole, "usage": {**first, "output_tokens": usage.output}}


def _write_responses(body: Json, step: Step, usage: Usage) -> Iterator[Payload]:
    name = f"resp_{uuid4().hex[:20]}"
    content = [{"type": "output_text", "text": step.say, "annotations": []}]
    items: list[Json] = [
        {"type": "message", "id": f"msg_{name}", "role": "assistant", "status": "completed", "content": content}
    ]
    if step.tool:
        call = {"id": f"fc_{name}", "call_id": f"call_{name}", "name": step.tool, "status": "completed"}
        if step.namespace:
            call["namespace"] = step.namespace
        if step.raw is not None:
            items.append({"type": "custom_tool_call", **call, "input": step.raw})
        else:
            items.append({"type": "function_call", **call, "arguments": json.dumps(step.input)})
    entire = usage.input + usage.cached
    done = {
        "id": name,
        "object": "response",
        "model": body.get("model"),
        "status": "completed",
        "output": items,
        "usage": {
            "input_tokens": entire,
            "input_tokens_details": {"cached_tokens": usage.cached},
            "output_tokens": usage.output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": entire + usage.output,
        },
    }
    started = {**done, "status": "in_progress", "output": [], "usage": None}
    yield "response.created", {"type": "response.created", "response": started}
    for index, item in enumerate(items):
        at = {"output_index": index, "item": item}
        yield "response.output_item.added", {"type": "response.output_item.added", **at}
        if item["type"] == "message":
            delta = {"item_id": item["id"], "output_index": index, "content_index": 0, "delta": step.say}
            yield "response.output_text.delta", {"type": "response.output_text.delta", **delta}
        yield "response.output_item.done", {"type": "response.output_item.done", **at}
    yield "response.completed", {"type": "response.completed", "response": done}
    yield None, done


def _write_chat(body: Json, step: Step, usage: Usage) -> Iterator[Payload]:
    base = {"id": f"chatcmpl-{uuid4().hex[:20]}", "created": 1_700_000_000, "model": body.get("model")}
    message: Json = {"role": "assistant", "content": step.say}
    if step.tool:
        function = {"name": step.tool, "arguments": json.dumps(step.input)}
        message["tool_calls"] = [
            {"index": 0, "id": f"call_{uuid4().hex[:20]}", "type": "function", "function": function}
        ]
    finish = "tool_calls" if step.tool else "stop"
    entire = usage.input + usage.cached
    counted = {
        "prompt_tokens": entire,
        "completion_tokens": usage.output,
        "total_tokens": entire + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    }
    chunk = {**base, "object": "chat.completion.chunk"}
    yield None, {**chunk, "choices": [{"index": 0, "delta": message, "finish_reason": None}]}
    yield None, {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    # As OpenAI does: a stream says its usage only to who asks for it.
    if (body.get("stream_options") or {}).get("include_usage"):
        yield None, {**chunk, "choices": [], "usage": counted}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    yield None, {**base, "object": "chat.completion", "usage": counted, "choices": [choice]}


def _write_gemini(_body: Json, step: Step, usage: Usage) -> Iterator[Payload]:
    parts: list[Json] = [{"text": step.say}]
    if step.tool:
        parts.append({"functionCall": {"name": step.tool, "args": dict(step.input)}})
    entire = usage.input + usage.cached
    whole = {
        "candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": entire,
            "cachedContentTokenCount": usage.cached,
            "candidatesTokenCount": usage.output,
            "totalTokenCount": entire + usage.output,
        },
    }
    yield None, whole
    yield None, whole


WIRES = (
    Wire("anthropic", re.compile(r"/v1/messages$"), _read_anthropic, _write_anthropic),
    Wire("openai", re.compile(r"/responses$"), _read_responses, _write_responses),
    Wire("openai", re.compile(r"/chat/completions$"), _read_chat, _write_chat, b"data: [DONE]\n\n"),
    Wire("gemini", re.compile(r":(stream)?[gG]enerateContent$"), _read_gemini, _write_gemini),
)
