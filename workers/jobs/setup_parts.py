"""Files of which only a part defines how tests run: the scripts of a package file, the options of pytest.

The rest, such as dependencies, stays as it is.
"""

from __future__ import annotations

import configparser
import io
import json
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

import tomlkit
import tomlkit.exceptions

Document: TypeAlias = MutableMapping[str, object]
Key: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class _Format:
    """How such a file is read and written, and the keys of the parts that define tests."""

    read: Callable[[str], Document]
    write: Callable[[Document], str]
    keys: tuple[Key, ...]


class _Unreadable(Exception):
    """The text is not of its file's format."""


def has_parts(path: str) -> bool:
    """Whether a file of this name defines tests in a part of it only."""
    return PurePosixPath(path).name in _FORMATS


def same_parts(path: str, old: bytes | None, new: bytes | None) -> bool:
    """Whether two contents of a file define tests alike. None: there is no file. Unreadable ones differ from all."""
    try:
        return _parts(path, old) == _parts(path, new)
    except _Unreadable:
        return False


def with_parts_of(path: str, old: bytes | None, new: bytes) -> str | None:
    """The text of `new` with the parts of `old`; without such parts if old is None. None if either is unreadable."""
    how = _FORMATS[PurePosixPath(path).name]
    try:
        wanted, document = _parts(path, old), _document(how, new)
    except _Unreadable:
        return None
    for key in how.keys:
        _put(document, key, wanted.get(key))
    return how.write(document)


def _parts(path: str, content: bytes | None) -> dict[Key, object]:
    if content is None:
        return {}
    how = _FORMATS[PurePosixPath(path).name]
    document = _document(how, content)
    return {key: part for key in how.keys if (part := _get(document, key)) is not None}


def _document(how: _Format, content: bytes) -> Document:
    try:
        return how.read(content.decode("utf-8"))
    except (ValueError, RecursionError, configparser.Error, tomlkit.exceptions.TOMLKitError) as error:
        raise _Unreadable from error


def _get(document: Document, key: Key) -> object | None:
    found: object = document
    for name in key:
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def _put(document: Document, key: Key, part: object | None) -> None:
    *folders, last = key
    place: object = document
    for name in folders:
        if not isinstance(place, MutableMapping):
            return
        if name not in place:
            if part is None:
                return
            place[name] = {}
        place = place[name]
    if not isinstance(place, MutableMapping):
        return
    if part is None:
        place.pop(last, None)
    else:
        place[last] = part


def _read_json(text: str) -> Document:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    return found


def _write_json(document: Document) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _read_sections(text: str) -> Document:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


def _write_sections(document: Document) -> str:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    for name, options in document.items():
        assert isinstance(options, Mapping)
        parser[name] = options
    written = io.StringIO()
    parser.write(written)
    return written.getvalue()


_SCRIPTS = (("scripts",), ("jest",), ("mocha",), ("ava",), ("vitest",), ("nyc",), ("c8",))
_TOOLS = (
    ("tool", "pytest"), ("tool", "coverage"), ("tool", "tox"), ("tool", "poe"), ("tool", "taskipy"),
    ("tool", "pdm", "scripts"),
)  # fmt: skip
_FORMATS = {
    "package.json": _Format(_read_json, _write_json, _SCRIPTS),
    "composer.json": _Format(_read_json, _write_json, (("scripts",),)),
    "deno.json": _Format(_read_json, _write_json, (("tasks",), ("test",))),
    "pyproject.toml": _Format(tomlkit.parse, tomlkit.dumps, _TOOLS),
    "setup.cfg": _Format(_read_sections, _write_sections, (("tool:pytest",), ("coverage:run",), ("aliases",))),
}
