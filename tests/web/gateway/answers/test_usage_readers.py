"""Usage is read off answers with little memory, whatever they contain."""

from __future__ import annotations

import json

import pytest

from common.values.runs.model_provider import TokenCount
from tests.web.gateway.provider_answers import FORMATS
from web.gateway.answers.usage_readers import BlindReader, DocumentReader, EventReader, fitting_reader, reader_for

SSE = "text/event-stream"


def _read(content: bytes, format_: str = "anthropic", *, size: int = 1000) -> TokenCount:
    reader = reader_for(format_, SSE, "")  # type: ignore[arg-type]
    for at in range(0, len(content), size):
        reader.feed(content[at : at + size])
    reader.finish()
    return reader.usage.count()


def test_the_reader_is_chosen_by_the_headers() -> None:
    assert isinstance(reader_for("chat", "Text/Event-Stream; charset=utf-8", "identity"), EventReader)
    assert isinstance(reader_for("chat", "application/json", ""), DocumentReader)
    assert isinstance(reader_for("chat", SSE, "gzip"), BlindReader)
    assert isinstance(reader_for(None, SSE, ""), BlindReader)


@pytest.mark.parametrize("beginning", [b'{"id"', b' \n[{"', b'\xef\xbb\xbf{"'])
def test_an_answer_in_json_is_known_by_its_first_byte(beginning: bytes) -> None:
    assert isinstance(fitting_reader(reader_for("chat", SSE, ""), beginning), DocumentReader)


@pytest.mark.parametrize(
    "line",
    [
        b'data: {"usage": \n', b'data: {"type":"message_delta","usage":[]}\n',
        b'data: {"type":"message_delta","usage":{"output_tokens":"many"}}\n', b"data: " + b'["usage"' * 100_000 + b"\n",
        b'data: {"type":"message_delta","usage":{"output_tokens":-5,"input_tokens":true}}\n', b"\xff\xfe\x00usage\n",
        b'data: {"type":"message_delta","usage":{"input_tokens":1e300,"output_tokens":NaN}}\n',
    ],
)  # fmt: skip
def test_nonsense_changes_nothing(line: bytes) -> None:
    whole = FORMATS["anthropic"].stream

    assert _read(b"".join([*whole[:3], line, *whole[3:]])) == FORMATS["anthropic"].count


@pytest.mark.parametrize(
    "rest",
    [b"", b', {"usageMetadata": {"candidatesTokenCount": 99', b", " + b"[" * 100_000],
    ids=["nothing", "half a part", "too deep"],
)
def test_the_complete_parts_of_a_list_without_an_end_are_read(rest: bytes) -> None:
    reader = reader_for("gemini", "application/json", "")
    parts = [{"usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": number}} for number in (5, 12)]

    reader.feed(b" [" + b",\n".join(json.dumps(part).encode() for part in parts) + rest)
    reader.finish()

    assert reader.usage.count() == TokenCount(7, 0, 0, 12)


def _iteration(kind: str, *counts: int, **more: object) -> dict[str, object]:
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
    kept = {"cache_creation": {"ephemeral_1h_input_tokens": 2 if counts[2] == 5 else 0}}
    return {"type": kind, **dict(zip(names, counts, strict=True)), **kept, **more}


@pytest.mark.parametrize(
    ("iterations", "expected"),
    [
        ([_iteration("message", 23_000, 7, 5, 1000)], TokenCount(23_000, 7, 5, 1000, 2)),
        (
            [_iteration("compaction", 180_000, 1, 2, 3500), _iteration("message", 23_000, 7, 5, 1000)],
            TokenCount(203_000, 8, 7, 4500, 2),
        ),
        (
            [_iteration("message", 20_000, 7, 5, 900), _iteration("advisor_message", 50_000, 0, 0, 700, model="big")],
            TokenCount(73_000, 7, 5, 1700, 2),
        ),
        # Where the whole names the attempt that served the answer alone, the others are added to it.
        (
            [_iteration("message", 30_000, 0, 0, 400), _iteration("fallback_message", 23_000, 7, 5, 1000)],
            TokenCount(53_000, 7, 5, 1400, 2),
        ),
        (["message", None, {"type": [], "input_tokens": "many"}], TokenCount(23_000, 7, 5, 1000, 2)),
    ],
    ids=["one", "a compaction", "an advisor", "a fallback", "nonsense in a list"],
)
def test_samplings_that_the_whole_does_not_contain_are_added_to_it(iterations: object, expected: TokenCount) -> None:
    used = _iteration("", 23_000, 7, 5, 1000, iterations=iterations)
    message = {"type": "message_delta", "usage": used}

    assert _read(b"data: " + json.dumps(message).encode() + b"\n\n") == expected
