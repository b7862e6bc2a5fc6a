"""Reads and checks single environment variables. A value is trimmed, and read from a file if `X_FILE` names one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from common.errors import Misconfigured
from common.machine.ports import PortRange


class Environment:
    """Environment variables by name, including `X_FILE`. Wrong values raise Misconfigured with the variable's name.

    Methods with several names use the first variable that is set; empty ones count as not set.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, *names: str, default: str | None = None) -> str | None:
        for name in names:
            value = self._environ.get(name, "").strip()
            if value:
                return value
            file = self._environ.get(f"{name}_FILE", "").strip()
            if file:
                return self._content(name, file)
        return default

    @staticmethod
    def _content(name: str, file: str) -> str:
        try:
            value = Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise Misconfigured(f"{name}_FILE={file} can't be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise Misconfigured(f"{name}_FILE={file} can't be read: it is not text in UTF-8") from error
        if not value:
            raise Misconfigured(f"{name}_FILE={file} is empty; write the value into it, or unset {name}_FILE")
        return value

    def string(self, *names: str, default: str) -> str:
        return self.text(*names) or default

    def number(self, *names: str, default: int, least: int = 0, most: int = 2**31) -> int:
        value = self.optional_number(*names, least=least, most=most)
        return default if value is None else value

    def optional_number(self, *names: str, least: int = 0, most: int = 2**31) -> int | None:
        """A whole number; None if the variable is not set."""
        value = self.text(*names)
        if value is None:
            return None
        if not value.isdigit() or not least <= int(value) <= most:
            raise Misconfigured(f"{names[0]}={value} is not a whole number from {least} to {most}")
        return int(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = (self.text(name) or str(int(default))).lower()
        if value not in {"0", "1", "true", "false", "yes", "no"}:
            raise Misconfigured(f"{name}={value} is not 0 or 1")
        return value in {"1", "true", "yes"}

    def choice(self, name: str, *, default: str, of: tuple[str, ...]) -> str:
        value = self.string(name, default=default)
        if value not in of:
            raise Misconfigured(f"{name}={value} is not one of {', '.join(of)}")
        return value

    def ports(self, name: str, *, default: PortRange) -> PortRange:
        """A range of ports, such as `20000-29999`."""
        value = self.text(name)
        try:
            return default if value is None else PortRange.parse(value)
        except ValueError as error:
            raise Misconfigured(f"{name}={error}") from error

    def names(self, name: str) -> tuple[str, ...]:
        """The comma-separated parts; empty if the variable is not set."""
        return tuple(part.strip() for part in (self.text(name) or "").split(",") if part.strip())
