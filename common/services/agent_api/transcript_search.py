"""Search for a part of a text in transcripts, in either case.

The database compares what is ASCII; the rest is compared here, as databases differ in the case of other letters and
store them escaped in JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from sqlalchemy import ColumnElement, Text, cast, func, or_, true

from common.models.run import LogEntry

_ASCII = re.compile(r"[\x20-\x7e]+")


def may_have_words(words: str) -> ColumnElement[bool]:
    """Query condition on LogEntry: true for every entry that has the words, and for few others."""
    longest = max(_ASCII.findall(words), key=len, default="").lower()
    if not longest:
        return true()
    in_message = func.lower(LogEntry.message).contains(longest, autoescape=True)
    in_details = func.lower(cast(LogEntry.details, Text)).contains(json.dumps(longest)[1:-1], autoescape=True)
    return or_(in_message, in_details)


def has_words(entry: LogEntry, words: str) -> bool:
    """Whether the message, or a text among the values of the details, has the words in it."""
    wanted = words.lower()
    return wanted in entry.message.lower() or any(wanted in text.lower() for text in _texts(entry.details))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
