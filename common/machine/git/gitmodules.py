"""Reads `.gitmodules`, without git: of a working tree that a program writes, and of a commit's file alone."""

from __future__ import annotations

import re

_PATH = re.compile(r"^[ \t]*(?:\[[^\]\n]*\][ \t]*)?path[ \t]*=[ \t]*(.*)$", re.MULTILINE | re.IGNORECASE)
_PART = re.compile(r'"((?:[^"\\]|\\.)*)"?|((?:[^"\\;#]|\\.)+)|[;#].*')
_ESCAPED = re.compile(r"\\(.)")


def submodule_paths(content: bytes) -> frozenset[str]:
    """The paths of the submodules that this `.gitmodules` names; bytes that are not UTF-8 as lone surrogates."""
    text = content.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    return frozenset(_value(found[1]).rstrip("/") for found in _PATH.finditer(text))


def _value(written: str) -> str:
    """A value of git's configuration: quotes and backslashes are resolved, a comment at its end is left out."""
    parts = (f"{part[1] or ''}{part[2] or ''}" for part in _PART.finditer(written))
    return _ESCAPED.sub(r"\1", "".join(parts).strip())
