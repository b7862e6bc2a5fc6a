"""The tokens of a request are estimated without the text of its images."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from web.gateway.requests.token_estimate import IMAGE_TOKENS, estimated_tokens

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(300_000)).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(300_000)).decode()
WEBP = base64.b64encode(b"RIFF\x10\x27\x00\x00WEBP" + bytes(300_000)).decode()
IMAGES: dict[str, dict[str, Any]] = {
    "anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    "responses": {"type": "input_image", "image_url": f"data:image/jpeg;base64,{JPEG}"},
    "chat": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "high"}},
    "gemini": {"inlineData": {"data": WEBP, "mimeType": "image/webp"}},
}


def request(*content: object) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": content}]}).encode()


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_counts_as_much_as_a_large_one_does(name: str) -> None:
    image = IMAGES[name]
    text = {"type": "text", "text": "word " * 4000}

    tokens = estimated_tokens(request(text, image, image))

    assert tokens == pytest.approx(5000 + 2 * IMAGE_TOKENS, abs=100)


@pytest.mark.parametrize(
    "text", ["no image/png: /9j/ " * 4000, "image/png iVBORw0KGgo" * 4000, '"/9j/' * 4000 + "image/", "x" * 80_000]
)
def test_text_counts_by_its_length(text: str) -> None:
    body = request(text)

    assert estimated_tokens(body) == pytest.approx(len(body) // 4, rel=0.3)
