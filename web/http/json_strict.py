"""Reading JSON that every parser reads alike.

Duplicate keys, NaN, huge numbers and lone surrogates, on which parsers disagree, and NUL, which a database can't store,
are refused as the caller's error (400).
"""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn, TypeAlias

from common.errors import Invalid

DEEPEST = 64
LARGEST = 2**63 - 1
BODY = "body"
"""The field that errors of the body as a whole name."""

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = "dict[str, Json]"

# A string, closed or not, or a bracket. The possessive quantifier never backtracks, so matching takes linear time.
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
_SUSPECT_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


def parse_object(raw: bytes) -> JsonObject:
    """The JSON object in the body. Raises Invalid with what is wrong."""
    text = _decode(raw)
    _limit_depth(text)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        message = f"Not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise Invalid(BODY, message) from error
    if not isinstance(value, dict):
        raise Invalid(BODY, "Must be a JSON object")
    if _SUSPECT_ESCAPE.search(text):
        _check_texts(value, "")
    return value


def check_text(text: str, field: str) -> None:
    """Raise Invalid if the text contains NUL or half of a surrogate pair: neither can be stored or sent on."""
    if "\0" in text:
        raise Invalid(field, "Must not contain NUL")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise Invalid(field, "Must not contain half of a surrogate pair")


def _decode(raw: bytes) -> str:
    if raw.startswith(b"\xef\xbb\xbf"):
        raise Invalid(BODY, "Must not begin with a byte order mark")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(BODY, f"Not valid UTF-8 at byte {error.start}") from error


def _limit_depth(text: str) -> None:
    # Before parsing: the parser recurses, and can't be left safely by a RecursionError in C.
    if text.count("[") + text.count("{") <= DEEPEST:
        return
    depth = 0
    for token in _STRUCTURE.finditer(text):
        character = text[token.start()]
        if character in "[{":
            depth += 1
            if depth > DEEPEST:
                raise Invalid(BODY, f"Nested deeper than {DEEPEST} levels")
        elif character in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, Json]]) -> JsonObject:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for name, _value in pairs:
            if name in seen:
                raise Invalid(_shown(name), "Duplicate key")
            seen.add(name)
    return value


def _whole(digits: str) -> int:
    if len(digits) > 20 or abs(value := int(digits)) > LARGEST:
        raise Invalid(BODY, f"Holds a number beyond {LARGEST}")
    return value


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise Invalid(BODY, "Holds a number beyond what a 64-bit float can hold")
    return value


def _constant(name: str) -> NoReturn:
    raise Invalid(BODY, f"{name} is not JSON")


def _check_texts(value: Json, path: str) -> None:
    if isinstance(value, str):
        check_text(value, path or BODY)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_texts(item, f"{path}.{index}" if path else str(index))
    elif isinstance(value, dict):
        for name, item in value.items():
            check_text(name, f"{path or BODY}")
            _check_texts(item, f"{path}.{name}" if path else name)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_whole, parse_float=_finite, parse_constant=_constant)
"""Holds no state between texts, as the one that json.loads keeps for itself."""


def _shown(name: str) -> str:
    """A key as it may stand in an error message: short, and without characters that can't be sent."""
    return name.encode("utf-8", "replace").decode().replace("\0", "?")[:100]
