"""Writes values as JSON and reads them back with checks. No other module knows the JSON form of a value.

A dataclass becomes an object with its fields' names as keys, a tuple an array, an enum its value. Input is checked
against the types and `constraints`. Unknown keys are ignored, so that newer senders are understood; a missing key
takes its field's default.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Annotated, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from common.values.constraints import Between, Matches

T = TypeVar("T")

Json: TypeAlias = "Mapping[str, Json] | list[Json] | str | int | float | bool | None"
KeyOf: TypeAlias = Callable[[str], str]


SOCKET_VERSION = 2
"""Version of the protocol on the supervisor's socket. Raise it if an older side would misread a changed value."""


class Malformed(ValueError):
    """The input does not fit the type. The message names the field and says why."""


def snake_case(name: str) -> str:
    """The field's name unchanged."""
    return name


def encode(value: object, *, key_of: KeyOf = snake_case) -> Json:
    """The value as an argument for `json.dumps`. TypeError for types that values do not contain."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        members = dataclasses.fields(value)
        return {key_of(member.name): encode(getattr(value, member.name), key_of=key_of) for member in members}
    if isinstance(value, Mapping):
        return {str(key): encode(item, key_of=key_of) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item, key_of=key_of) for item in value]
    if isinstance(value, Enum):
        return encode(value.value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{type(value).__name__} can't be written as JSON")


def decode(kind: type[T], raw: object, *, key_of: KeyOf = snake_case, is_trusted: bool = False) -> T:
    """Read a value of the type `kind` from parsed JSON. Raises Malformed if it does not fit.

    is_trusted: the platform stored it itself. Constraints, which may be stricter today, are not checked.
    """
    return cast(T, _Reading(key_of, is_trusted).read(kind, raw, ""))


def decode_arguments(function: Callable[..., object], raw: object) -> dict[str, object]:
    """Read the arguments of a function from an object with a key for each, by the function's annotations.

    Raises Malformed if one is missing or does not fit.
    """
    if not isinstance(raw, Mapping):
        raise Malformed("the arguments are not an object")
    hints = {name: kind for name, kind in _hints(function).items() if name != "return"}
    reading = _Reading(snake_case, is_trusted=False)
    return {name: reading.read(kind, _member(raw, name, name), name) for name, kind in hints.items()}


@functools.cache
def _hints(thing: Callable[..., object]) -> dict[str, object]:
    return dict(get_type_hints(thing, include_extras=True))


class _Reading:
    """One reading of JSON. Every method raises Malformed. path: the position in the JSON, for messages."""

    def __init__(self, key_of: KeyOf, is_trusted: bool) -> None:
        self._key_of = key_of
        self._is_trusted = is_trusted

    def read(self, kind: object, raw: object, path: str) -> object:
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is Annotated:
            return self._constrained(arguments, raw, path)
        if origin in {Union, types.UnionType}:
            (inner,) = (one for one in arguments if one is not types.NoneType)
            return None if raw is None else self.read(inner, raw, path)
        if origin is tuple:
            return self._tuple(arguments, raw, path)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return self._mapping(arguments, raw, path)
        assert isinstance(kind, type), f"{kind!r} is not a type that values may have"
        if dataclasses.is_dataclass(kind):
            return self._dataclass(kind, raw, path)
        return _scalar(kind, raw, path)

    def _constrained(self, arguments: tuple[object, ...], raw: object, path: str) -> object:
        value = self.read(arguments[0], raw, path)
        for constraint in () if self._is_trusted else arguments[1:]:
            if isinstance(constraint, Matches | Between) and (problem := constraint.problem(value)):
                raise Malformed(f"{path}: {problem}")
        return value

    def _dataclass(self, kind: type, raw: object, path: str) -> object:
        if not isinstance(raw, Mapping):
            raise Malformed(f"{path or kind.__name__} is not an object")
        hints, found = _hints(kind), {}
        for member in dataclasses.fields(kind):
            key = self._key_of(member.name)
            where = f"{path}.{key}" if path else key
            has_default = not (member.default is dataclasses.MISSING and member.default_factory is dataclasses.MISSING)
            if key in raw or not has_default:
                found[member.name] = self.read(hints[member.name], _member(raw, key, where), where)
        return kind(**found)

    def _tuple(self, arguments: tuple[object, ...], raw: object, path: str) -> tuple[object, ...]:
        if not isinstance(raw, list | tuple):
            raise Malformed(f"{path} is not a list")
        if arguments[-1] is Ellipsis:
            kinds: tuple[object, ...] = (arguments[0],) * len(raw)
        elif len(raw) == len(arguments):
            kinds = arguments
        else:
            raise Malformed(f"{path} has {len(raw)} items, not {len(arguments)}")
        pairs = zip(kinds, raw, strict=True)
        return tuple(self.read(kind, item, f"{path}[{number}]") for number, (kind, item) in enumerate(pairs))

    def _mapping(self, arguments: tuple[object, ...], raw: object, path: str) -> dict[object, object]:
        if not isinstance(raw, Mapping):
            raise Malformed(f"{path} is not an object")
        of_key, of_item = arguments
        return {self.read(of_key, key, path): self.read(of_item, item, f"{path}.{key}") for key, item in raw.items()}


def _scalar(kind: type, raw: object, path: str) -> object:
    if issubclass(kind, Enum):
        try:
            return kind(raw)
        except ValueError as error:
            raise Malformed(f"{path} is none of {', '.join(str(one.value) for one in kind)}") from error
    # An int is kept as it is where a float is expected.
    accepted = (int, float) if kind is float else (kind,)
    if not isinstance(raw, accepted) or (isinstance(raw, bool) and kind is not bool):
        raise Malformed(f"{path} is not of the type {kind.__name__}")
    return raw


def _member(raw: Mapping[object, object], key: str, where: str) -> object:
    if key not in raw:
        raise Malformed(f"{where} is missing")
    return raw[key]
