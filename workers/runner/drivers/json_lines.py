"""JSON lines of a program: read without trust. What is not of the expected type is taken for missing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

Json = Mapping[str, object]


def parsed(line: str) -> Json:
    """The object in a line; empty for anything else."""
    if not line.startswith("{"):
        return {}
    try:
        value = json.loads(line)
    # A deeply nested line exhausts the parser's stack.
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def is_event(line: str) -> bool:
    """Whether a line looks like one for a program: an object, also one that is cut off, or a list."""
    line = line.strip()
    if not line.startswith("["):
        return line.startswith("{")
    try:
        json.loads(line)
    except ValueError:
        return False
    except RecursionError:
        return True
    return True


def mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def mappings(value: object) -> Iterator[Json]:
    """The objects in a list."""
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else iter(())


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def content_text(value: object) -> str:
    """The text of a content: a text, or a list of blocks of which some have a `text`."""
    if isinstance(value, str):
        return value
    return "\n".join(text(block.get("text")) for block in mappings(value) if block.get("text"))
