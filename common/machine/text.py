"""Text: untrusted text cleaned for display, storage and sending, and names as keys of JSON."""

from __future__ import annotations

import functools
import re

SPACES = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
"""The spaces of Unicode, without line ends. At the edge of a name nobody sees them."""
_SEQUENCE = r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)%s|\x1b[@-Z\\-_]"
_SEQUENCES = re.compile(_SEQUENCE % "?")
_ENDED_SEQUENCES = re.compile(_SEQUENCE % "")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_CONTROL_OR_RETURN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Bidirectional marks and overrides, zero-width characters, line and paragraph separators: they can make different names
# look the same.
_INVISIBLE = re.compile("[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\U000e0000-\U000e007f]")

# The zero-width joiner makes one picture of several emoji; anywhere else it would be invisible.
_PICTURE = "[\u2194\u2195\u2600-\u27bf\u2b1b\U0001f000-\U0001faff]"
_EMOJI = f"{_PICTURE}(?:\ufe0f|[\U0001f3fb-\U0001f3ff])?"
_JOINED_EMOJI = re.compile(f"{_EMOJI}(?:\u200d{_EMOJI})+")
_JOINED_EMOJI_OR_INVISIBLE = re.compile(f"({_JOINED_EMOJI.pattern})|{_INVISIBLE.pattern}")


def without_controls(text: str, *, is_whole: bool = True) -> str:
    """Remove terminal sequences (CSI, OSC) and control characters except newline and tab; `\\r\\n` becomes `\\n`.

    is_whole: False for a part of a stream. Of an OSC sequence without an end, only its introducer is then removed; in
    a whole text, everything after it is.
    """
    sequences = _SEQUENCES if is_whole else _ENDED_SEQUENCES
    return _CONTROL_OR_RETURN.sub("", sequences.sub("", text.replace("\r\n", "\n")))


def plain(output: bytes) -> str:
    """A program's output as text: line ends become `\\n`; terminal sequences and control characters are removed."""
    text = output.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return without_controls(text, is_whole=False)


def has_control(text: str) -> bool:
    """Whether the text contains a control character (C0, DEL, C1), including line ends and tabs."""
    return _CONTROL.search(text) is not None


def has_control_but_lines(text: str) -> bool:
    """Whether the text contains a control character other than line ends and tabs."""
    return _CONTROL_BUT_LINES.search(text) is not None


def has_invisible(text: str) -> bool:
    """Whether the text contains an invisible or direction-changing character that is not a control character.

    The joiners inside an emoji that consists of several are visible by what they do.
    """
    return _INVISIBLE.search(_JOINED_EMOJI.sub("", text)) is not None


def without_invisible(text: str) -> str:
    """Remove the characters that `has_invisible` finds. The joiners inside an emoji stay."""
    return _JOINED_EMOJI_OR_INVISIBLE.sub(lambda found: found[1] or "", text)


def is_blank(text: str) -> bool:
    """Whether the text consists of spaces, line ends and invisible characters alone."""
    return not without_invisible(text).strip()


def lower_letters(text: str) -> str:
    """The text in lower case, letter by letter, as MariaDB's LOWER makes it: as many letters as before, so a part of it
    is the same alone.

    `str.lower` makes two letters of `İ`, and of `Σ` another one at the end of a word.
    """
    lower = text.lower()
    if len(lower) == len(text) and "Σ" not in text:
        return lower
    return "".join(letter.lower()[0] for letter in text)


def storable(text: str) -> str:
    """The text without NUL, and with `?` for lone surrogates, so that it can be stored as UTF-8."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def path_text(path: str) -> str:
    """A path for display. path: may contain lone surrogates for bytes that are not UTF-8 (surrogateescape)."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@functools.cache
def camel_case(name: str) -> str:
    """`base_branch` as `baseBranch`: how attributes are called in the HTTP API and in events."""
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)
