"""What comes in over the socket, parsed and checked.

The shapes are those of common.providers.runtime.protocol as JSON objects; they are read here anew, not imported, since
the socket is the border: whatever is on the other side of it, a name never becomes a path that leaves the directory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from workers.supervisor.health import Expected

T = TypeVar("T", int, str)

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
IDENTITY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}")
COMMIT = re.compile(r"[0-9a-f]{40}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|[kMGTPE]|[KMGTPE]i)?")
UNITS = {"": 1.0, "m": 0.001} | {
    unit: float(base**power)
    for base, units in ((1000, ("k", "M", "G", "T", "P", "E")), (1024, ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")))
    for power, unit in enumerate(units, 1)
}


class Refused(Exception):
    """The request is wrong and will be wrong again. `code` is stable; the message is for a person."""

    def __init__(self, message: str, code: str = "invalid") -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Place:
    """Where something belongs: a namespace, and the project whose repository it is cloned from."""

    namespace: str
    project_id: str


@dataclass(frozen=True)
class Origin:
    """Where to clone from. The credential goes into git's environment only."""

    clone_url: str
    username: str | None
    password: str | None


@dataclass(frozen=True)
class WantedVersion:
    """A version to run. memory_bytes: None means unlimited."""

    version_id: str
    commit: str
    origin: Origin
    start_command: str | None
    env: Mapping[str, str]
    secret_names: tuple[str, ...]
    health: Expected
    health_seconds: float
    start_seconds: float
    memory_bytes: int | None
    port: int | None
    is_retried: bool


@dataclass(frozen=True)
class WantedCheck:
    """A command to run once on a clean checkout."""

    check_id: str
    commit: str
    origin: Origin
    command: str
    env: Mapping[str, str]
    secret_names: tuple[str, ...]
    timeout_seconds: float
    memory_bytes: int | None


def quantity(text: str) -> int:
    """A Kubernetes quantity in bytes, rounded down.

    >>> quantity("512Mi"), quantity("1G"), quantity("1.5Ki")
    (536870912, 1000000000, 1536)
    """
    match = QUANTITY.fullmatch(text.strip())
    if match is None:
        raise Refused(f"memory_limit {text!r} is not a quantity such as 512Mi or 1Gi")
    return int(float(match[1]) * UNITS[match[2] or ""])


def place(raw: Any) -> Place:
    return Place(_matching(raw, "namespace", NAME), _matching(raw, "project_id", IDENTITY))


def app_name(raw: Any) -> str:
    return _matching(raw, "name", NAME)


def identity(raw: Any, key: str) -> str:
    return _matching(raw, key, IDENTITY)


def count(raw: Any, key: str, *, most: int) -> int:
    """A whole number from 0 to `most`; more is cut to it."""
    return int(min(_number(raw, key), most))


def flag(raw: Any, key: str) -> bool:
    value = _get(raw, key)
    if not isinstance(value, bool):
        raise Refused(f"{key} is neither true nor false")
    return value


def wanted_version(raw: Any) -> WantedVersion:
    path = _text(raw, "health_path")
    if not path.startswith("/") or not path.isprintable() or " " in path or not path.isascii():
        raise Refused(f"health_path {path!r} is not a path that starts with / and has no spaces")
    port = _optional(raw, "port", int)
    if port is not None and not 1 <= port <= 65535:
        raise Refused(f"port {port} is not a number from 1 to 65535")
    return WantedVersion(
        version_id=_matching(raw, "version_id", IDENTITY),
        commit=_matching(raw, "commit", COMMIT),
        origin=_origin(raw),
        start_command=_optional(raw, "start_command", str) or None,
        env=_env(raw),
        secret_names=_names(raw, "secret_names"),
        health=Expected(path, _optional(raw, "health_contains", str), int(_number(raw, "health_below"))),
        health_seconds=_number(raw, "health_seconds"),
        start_seconds=_number(raw, "start_seconds"),
        memory_bytes=_memory(raw),
        port=port,
        is_retried=flag(raw, "is_retried"),
    )


def wanted_check(raw: Any) -> WantedCheck:
    return WantedCheck(
        check_id=_matching(raw, "check_id", IDENTITY),
        commit=_matching(raw, "commit", COMMIT),
        origin=_origin(raw),
        command=_text(raw, "command"),
        env=_env(raw),
        secret_names=_names(raw, "secret_names"),
        timeout_seconds=_number(raw, "timeout_seconds"),
        memory_bytes=_memory(raw),
    )


def _origin(raw: Any) -> Origin:
    source = _get(raw, "source")
    url = _text(source, "clone_url")
    if not url.startswith(("/", "file://", "http://", "https://")) or not url.isprintable():
        raise Refused("clone_url is neither an absolute path nor an http, https or file address")
    return Origin(url, _optional(source, "username", str), _optional(source, "password", str))


def _memory(raw: Any) -> int | None:
    text = _optional(raw, "memory_limit", str)
    return quantity(text) if text else None


def _env(raw: Any) -> dict[str, str]:
    env = _get(raw, "env")
    if not isinstance(env, dict):
        raise Refused("env is not an object")
    for name, value in env.items():
        if not VARIABLE.fullmatch(name):
            raise Refused(f"env: {name!r} is not a variable's name")
        if not isinstance(value, str) or "\0" in value:
            raise Refused(f"env: the value of {name} is not text")
    return dict(env)


def _names(raw: Any, key: str) -> tuple[str, ...]:
    names = raw.get(key) or [] if isinstance(raw, dict) else []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refused(f"{key} is not a list of names")
    return tuple(names)


def _get(raw: Any, key: str) -> Any:
    if not isinstance(raw, dict) or key not in raw:
        raise Refused(f"{key} is missing")
    return raw[key]


def _text(raw: Any, key: str) -> str:
    value = _get(raw, key)
    if not isinstance(value, str) or not value or "\0" in value:
        raise Refused(f"{key} is not text")
    return value


def _matching(raw: Any, key: str, pattern: re.Pattern[str]) -> str:
    value = _text(raw, key)
    if not pattern.fullmatch(value):
        raise Refused(f"{key} {value[:100]!r} is not of the form {pattern.pattern}")
    return value


def _number(raw: Any, key: str) -> float:
    value = _get(raw, key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10**7:
        raise Refused(f"{key} is not a number from 0 on")
    return float(value)


def _optional(raw: Any, key: str, kind: type[T]) -> T | None:
    value = raw.get(key) if isinstance(raw, dict) else None
    if value is None:
        return None
    if not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, str) and "\0" in value):
        raise Refused(f"{key} is not of the type {kind.__name__}")
    return value
