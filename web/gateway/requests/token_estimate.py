"""Estimates the tokens of a request, for calls whose answer does not name them."""

from __future__ import annotations

BYTES_PER_TOKEN = 4
"""About what a token of English text or code has."""
IMAGE_TOKENS = 1600
"""About the most that a provider counts for an image, however long its base64 text is.

https://platform.claude.com/docs/en/build-with-claude/vision#evaluate-image-size
"""
MOST_IMAGES = 1000
"""Of one kind that are looked for; a request may have 32 MiB of them."""

_BEGINNINGS = (b"iVBORw0KGgo", b"/9j/", b"R0lGOD", b"UklGR")
"""Of PNG, JPEG, GIF and WebP in base64."""


def estimated_tokens(body: bytes) -> int:
    """Images count as IMAGE_TOKENS at most, everything else by its length."""
    image_bytes = image_tokens = 0
    # All APIs name the type of an image. Most requests have none, and are searched once.
    for beginning in _BEGINNINGS if b"image/" in body else ():
        at = body.find(beginning)
        for _ in range(MOST_IMAGES):
            if at < 0:
                break
            end = at + len(beginning)
            # The whole text of a string, or what follows in a URL like `data:image/png;base64,`.
            if body[at - 1 : at] in {b'"', b","}:
                closing = body.find(b'"', end)
                end = closing if closing >= 0 else len(body)
                # With a space it is text that begins like an image, perhaps to be counted as one.
                if body.find(b" ", at, end) < 0:
                    image_bytes += end - at
                    image_tokens += min(IMAGE_TOKENS, (end - at) // BYTES_PER_TOKEN)
            at = body.find(beginning, end)
    return (len(body) - image_bytes) // BYTES_PER_TOKEN + image_tokens
