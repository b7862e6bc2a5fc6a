"""An answer in each of the four formats, as a stream and whole, with the usage that is in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from common.values.runs.model_provider import TokenCount
from tests.web.gateway.upstream import events

MISLEADING = 'He said "usage": {"output_tokens": 999999} and\ndata: {"usage": 1}\n\n'
"""What a model may write to be taken for a usage."""


@dataclass(frozen=True)
class Format:
    """name: of the API's provider. stream, whole: an answer; count: the tokens in it. started: those that are known
    after the stream's first piece.
    """

    name: str
    path: str
    request: bytes
    stream: list[bytes]
    whole: bytes
    count: TokenCount
    model: str


def _json(payload: dict[str, Any]) -> bytes:
    return json.dumps(payload, separators=(",", ":")).encode()


_ANTHROPIC_USAGE = {
    "input_tokens": 120, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 4000, "output_tokens": 1,
    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
}  # fmt: skip
_SONNET = "claude-sonnet-4-5"
_ANTHROPIC = Format(
    "anthropic",
    "v1/messages?beta=true",
    _json({"model": _SONNET, "max_tokens": 10, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}),
    events(
        {"type": "message_start", "message": {"type": "message", "model": _SONNET, "usage": _ANTHROPIC_USAGE}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": MISLEADING}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 77}},
        {"type": "message_stop"},
        named=True,
    ),
    _json({
        "id": "m", "type": "message", "model": _SONNET,
        "content": [{"type": "tool_use", "name": "Bash", "input": {"usage": {"output_tokens": 5}}}],
        "usage": {**_ANTHROPIC_USAGE, "output_tokens": 77},
    }),
    TokenCount(120, 4000, 30, 77, 10),
    _SONNET,
)  # fmt: skip

_RESPONSES_USAGE = {
    "input_tokens": 2000, "input_tokens_details": {"cached_tokens": 800, "cache_write_tokens": 150},
    "output_tokens": 42, "output_tokens_details": {"reasoning_tokens": 20}, "total_tokens": 2042,
}  # fmt: skip
_RESPONSES = Format(
    "openai",
    "v1/responses",
    _json({"model": "gpt-5.5", "input": "Hi", "stream": True}),
    events(
        {"type": "response.created", "response": {"id": "r", "model": "gpt-5.5", "usage": None}},
        {"type": "response.output_text.delta", "delta": MISLEADING},
        {"type": "response.completed", "response": {
            "id": "r", "model": "gpt-5.5", "output": [{"text": "x" * 100_000}], "usage": _RESPONSES_USAGE,
        }},
        named=True,
    ),
    _json({"id": "r", "object": "response", "model": "gpt-5.5", "output": [], "usage": _RESPONSES_USAGE}),
    TokenCount(1050, 800, 150, 42),
    "gpt-5.5",
)  # fmt: skip

_CHAT_USAGE = {"prompt_tokens": 500, "completion_tokens": 11, "prompt_tokens_details": {"cached_tokens": 100}}
_CHAT = Format(
    "openai",
    "v1/chat/completions",
    _json({"messages": [{"role": "user", "content": '"model": "no"'}], "model": "gpt-5", "stream": True}),
    events(
        {"id": "c", "model": "gpt-5", "choices": [{"delta": {"content": MISLEADING}}], "usage": None},
        {"id": "c", "model": "gpt-5", "choices": [{"delta": {}, "finish_reason": "stop"}], "usage": None},
        {"id": "c", "model": "gpt-5", "choices": [], "usage": _CHAT_USAGE},
        end=b"data: [DONE]\n\n",
    ),
    _json({"id": "c", "model": "gpt-5", "choices": [], "usage": _CHAT_USAGE}),
    TokenCount(400, 100, 0, 11),
    "gpt-5",
)


def _gemini_part(text: str, output: int) -> dict[str, Any]:
    used = {
        "promptTokenCount": 900, "cachedContentTokenCount": 300, "candidatesTokenCount": output,
        "thoughtsTokenCount": 5, "totalTokenCount": 905 + output,
    }  # fmt: skip
    called = {"name": "f", "args": {"usageMetadata": {"promptTokenCount": 1, "text": text}}}
    return {"candidates": [{"content": {"parts": [{"functionCall": called}]}}], "modelVersion": "gemini-2.5-pro",
            "usageMetadata": used}  # fmt: skip


_GEMINI = Format(
    "gemini",
    "v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
    _json({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}),
    events(_gemini_part(MISLEADING, 3), _gemini_part("more", 9), _gemini_part("end", 21)),
    b"[" + b",\n".join(_json(_gemini_part("x", number)) for number in (3, 21)) + b"]",
    TokenCount(600, 300, 0, 26),
    "gemini-2.5-pro",
)

FORMATS = {"anthropic": _ANTHROPIC, "responses": _RESPONSES, "chat": _CHAT, "gemini": _GEMINI}
