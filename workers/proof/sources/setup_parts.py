"""Files of which only a part defines how tests run: the scripts of a package file, the options of pytest.

The rest, such as dependencies, stays as it is.
"""

from __future__ import annotations

import configparser
import io
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

import tomlkit
import tomlkit.exceptions

Document: TypeAlias = MutableMapping[str, object]
Key: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class _Format:
    """How such a file is read and written, and the keys of the parts that define tests.

    read: as the runners of tests read it. edit: reads it to be changed and written, where that is another way.
    """

    read: Callable[[str], Document]
    write: Callable[[Document], str]
    keys: tuple[Key, ...]
    edit: Callable[[str], Document] | None = None


class _Unreadable(Exception):
    """The text is not of its file's format."""


# What the libraries raise, tomlkit also for some files that are well-formed.
_FAULTS = (
    ValueError, TypeError, LookupError, AttributeError, RecursionError, configparser.Error,
    tomlkit.exceptions.TOMLKitError,
)  # fmt: skip


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
    """The text of `new` with the parts of `old`; without such parts if old is None.

    None if either is unreadable, or if no text was found that is read as meant.
    """
    how = _FORMATS[PurePosixPath(path).name]
    try:
        wanted, meant = _parts(path, old), _document(how, new)
        text = _written(how, new, wanted)
        found = _document(how, text.encode("utf-8", "surrogatepass"))
    except _Unreadable:
        return None
    # An author chooses the form of the file: tables that stand apart or in one line may be written as something else.
    is_as_meant = _parts_of(how, found) == wanted and _rest_of(how, found) == _rest_of(how, meant)
    return text if is_as_meant else None


def scripts_in(path: str, content: bytes) -> Iterator[tuple[str, str]]:
    """The name and the commands, a line each, of every script of a package file; nothing if it is unreadable."""
    try:
        document = _document(_FORMATS[PurePosixPath(path).name], content)
    except _Unreadable:
        return
    for key in _SCRIPTS_OF.get(PurePosixPath(path).name, ()):
        scripts = _get(document, key)
        for name, script in scripts.items() if isinstance(scripts, Mapping) else ():
            yield str(name), "\n".join(_texts(script))


def _texts(script: object) -> list[str]:
    """Scripts are a text, a list of such, or a table with such, as of deno, composer, pdm and poe."""
    parts = [*script] if isinstance(script, list) else [*script.values()] if isinstance(script, Mapping) else [script]
    return [part for part in parts if isinstance(part, str)]


def _written(how: _Format, new: bytes, wanted: Mapping[Key, object]) -> str:
    try:
        document = (how.edit or how.read)(new.decode("utf-8"))
        for key in how.keys:
            _put(document, key, wanted.get(key))
        return how.write(document)
    except _FAULTS as error:
        raise _Unreadable from error


def _parts(path: str, content: bytes | None) -> dict[Key, object]:
    if content is None:
        return {}
    how = _FORMATS[PurePosixPath(path).name]
    return _parts_of(how, _document(how, content))


def _parts_of(how: _Format, document: Document) -> dict[Key, object]:
    return {key: part for key in how.keys if (part := _get(document, key)) is not None}


def _rest_of(how: _Format, document: Document) -> Document:
    """The document, changed, without the parts and without the tables that only held these."""
    for key in how.keys:
        _drop(document, key)
    return document


def _document(how: _Format, content: bytes) -> Document:
    try:
        return how.read(content.decode("utf-8"))
    except _FAULTS as error:
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


def _drop(place: object, key: Key) -> None:
    name, *rest = key
    if not isinstance(place, MutableMapping) or name not in place:
        return
    if rest:
        _drop(place[name], tuple(rest))
    if not rest or place[name] == {}:
        del place[name]


def _read_json(text: str) -> Document:
    # npm and node pass over a byte order mark.
    found = json.loads(text.removeprefix("\ufeff"))
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    return found


def _write_json(document: Document) -> str:
    # In ASCII, as a text in it may have half of a surrogate pair.
    return json.dumps(document, indent=2) + "\n"


_HEADER = re.compile(r"\[[^\[\]#;]+\]\s*")


def _read_sections(text: str) -> Document:
    lines = text.splitlines()
    # Of such headers and line ends, pytest and configparser each make something else.
    if len(lines) != len(text.removesuffix("\n").split("\n")):
        raise ValueError("it has other ends of lines")
    if any(line.lstrip().startswith("[") and not _HEADER.fullmatch(line) for line in lines):
        raise ValueError("it has a header that is not [name] alone")
    parser = _parser()
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


def _write_sections(document: Document) -> str:
    parser = _parser()
    for name, options in document.items():
        assert isinstance(options, Mapping)
        parser[name] = options
    written = io.StringIO()
    parser.write(written)
    return written.getvalue()


def _parser() -> configparser.RawConfigParser:
    # [DEFAULT] is a section as others: what it says counts for setuptools, and not for pytest.
    return configparser.RawConfigParser(strict=False, allow_no_value=True, default_section="")


_SCRIPTS = (("scripts",), ("jest",), ("mocha",), ("ava",), ("vitest",), ("nyc",), ("c8",))
_TOOLS = (
    ("tool", "pytest"), ("tool", "coverage"), ("tool", "tox"), ("tool", "poe"), ("tool", "taskipy"),
    ("tool", "pdm", "scripts"),
)  # fmt: skip
_SECTIONS = (("tool:pytest",), ("coverage:run",), ("aliases",), ("DEFAULT",))
_FORMATS = {
    "package.json": _Format(_read_json, _write_json, _SCRIPTS),
    "composer.json": _Format(_read_json, _write_json, (("scripts",),)),
    "deno.json": _Format(_read_json, _write_json, (("tasks",), ("test",))),
    "pyproject.toml": _Format(tomllib.loads, tomlkit.dumps, _TOOLS, edit=tomlkit.parse),
    "setup.cfg": _Format(_read_sections, _write_sections, _SECTIONS),
}
_SCRIPTS_OF: Mapping[str, tuple[Key, ...]] = {
    "package.json": (("scripts",),),
    "composer.json": (("scripts",),),
    "deno.json": (("tasks",),),
    "pyproject.toml": (("tool", "pdm", "scripts"), ("tool", "poe", "tasks"), ("tool", "taskipy", "tasks")),
}
