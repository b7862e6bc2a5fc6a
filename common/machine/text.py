"""Text that others wrote, made safe to show, store and send: terminal sequences, control characters, broken Unicode."""

from __future__ import annotations

import re

_SEQUENCE = r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)%s|\x1b[@-Z\\-_]"
_SEQUENCES = re.compile(_SEQUENCE % "?")
_ENDED_SEQUENCES = re.compile(_SEQUENCE % "")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_CONTROL_OR_RETURN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Bidirectional marks and overrides, zero-width characters, line and paragraph separators: they make two names look
# alike, or one look like another.
_INVISIBLE = re.compile("[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\U000e0000-\U000e007f]")


def without_controls(text: str, *, is_whole: bool = True) -> str:
    """Without terminal sequences (CSI, OSC) and control characters but newline and tab; `\\r\\n` becomes `\\n`.

    is_whole False: the text is a part of a stream. Of an OSC sequence without its end only the beginning is dropped
    then, while in a whole text all that follows it belongs to it.
    """
    sequences = _SEQUENCES if is_whole else _ENDED_SEQUENCES
    return _CONTROL_OR_RETURN.sub("", sequences.sub("", text.replace("\r\n", "\n")))


def plain(output: bytes) -> str:
    """What a program wrote, as text: line ends become `\\n`, terminal sequences and other control characters go."""
    text = output.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return without_controls(text, is_whole=False)


def has_control(text: str) -> bool:
    """Whether it holds a control character (C0, DEL, C1), line ends and tabs included."""
    return _CONTROL.search(text) is not None


def has_control_but_lines(text: str) -> bool:
    """Whether it holds a control character that is no line end and no tab."""
    return _CONTROL_BUT_LINES.search(text) is not None


def has_invisible(text: str) -> bool:
    """Whether it holds a character that changes the direction of text or is not seen, but is no control character."""
    return _INVISIBLE.search(text) is not None


def storable(text: str) -> str:
    """The text without NUL, and with question marks for halves of surrogate pairs: neither can be stored as UTF-8."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def path_text(path: str) -> str:
    """A path as it can be shown. path: with lone surrogates for bytes that are no UTF-8 (Python's surrogateescape)."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
