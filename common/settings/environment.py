"""Reads and checks single environment variables. A value is trimmed, and read from a file if `X_FILE` names one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from common.errors import Misconfigured
from common.network.port_ranges import PortRange

_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")
_NO_HOST = re.compile(r"[/@\s]")
_SLUG = re.compile(r"[a-z0-9-]{1,40}")


def is_utf_8(text: str) -> bool:
    """Whether what the system gave was UTF-8. Python reads another byte as half of a surrogate pair."""
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


class Environment:
    """Environment variables by name, including `X_FILE`. Wrong values raise Misconfigured with the variable's name.

    Methods with several names use the first variable that is set; empty ones count as not set.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def found(self, *names: str) -> tuple[str, str] | None:
        """The first of the variables that is set, and its value."""
        for name in names:
            value = self._environ.get(name, "").strip()
            if value:
                return name, value
            file = self._environ.get(f"{name}_FILE", "").strip()
            if file:
                return name, self._content(name, file)
        return None

    def text(self, *names: str, default: str | None = None) -> str | None:
        found = self.found(*names)
        return default if found is None else found[1]

    def secret(self, *names: str) -> str | None:
        """A text to be hashed or signed with, and so to be encoded; None if the variable is not set."""
        found = self.found(*names)
        if found is None:
            return None
        if not is_utf_8(found[1]):
            raise Misconfigured(f"{found[0]} is not text in UTF-8")
        return found[1]

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

    def folder(self, name: str, *, default: str) -> Path:
        """An absolute path in UTF-8, so that programs can tell each other of it; `~` stands for the user's home."""
        path = self.path(name) or Path(default).absolute()
        if not is_utf_8(str(path)):
            raise Misconfigured(f"{name} is {str(path)!r}, which is not text in UTF-8: name another folder")
        return path

    def path(self, name: str) -> Path | None:
        """An absolute path; `~` stands for the user's home. None if the variable is not set."""
        value = self.text(name)
        try:
            return None if value is None else Path(value).expanduser().absolute()
        except RuntimeError as error:
            raise Misconfigured(f"{name}={value} is in the home of a user that this machine does not know") from error

    def number(self, *names: str, default: int, least: int = 0, most: int = 2**31) -> int:
        value = self.optional_number(*names, least=least, most=most)
        return default if value is None else value

    def optional_number(self, *names: str, least: int = 0, most: int = 2**31) -> int | None:
        """A whole number; None if the variable is not set."""
        found = self.found(*names)
        if found is None:
            return None
        name, value = found
        number = _whole_number(value)
        if number is None or not least <= number <= most:
            raise Misconfigured(f"{name}={value} is not a whole number from {least} to {most}")
        return number

    def address(self, *names: str, such_as: str) -> str | None:
        """An http or https address; None if the variable is not set. such_as: an example for the error's message."""
        found = self.found(*names)
        if found is None:
            return None
        name, value = found
        if web_address(value) is None:
            shown = name if "@" in value else f"{name}={value}"  # it may contain a password
            raise Misconfigured(f"{shown} is not an http or https address such as {such_as}")
        return value

    def slug(self, *names: str, default: str) -> str:
        """Small letters, digits and hyphens: what an owner of the local forge's repositories may be named."""
        name, value = self.found(*names) or ("", default)
        if not _SLUG.fullmatch(value):
            raise Misconfigured(f"{name}={value} is not 1 to 40 small letters, digits and hyphens")
        return value

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

    def pairs(self, name: str, *, of: Collection[str], such_as: str) -> dict[str, str]:
        """What `key=value,key=value` says; empty if the variable is not set. of: the keys that there are."""
        found: dict[str, str] = {}
        for part in self.names(name):
            key, _, value = (side.strip() for side in part.partition("="))
            if key not in of or key in found or not value:
                raise Misconfigured(f"{name}: {part!r} is not one of {', '.join(of)} with a value, such as {such_as}")
            found[key] = value
        return found

    def host(self, name: str, *, default: str, such_as: str) -> str:
        """A host's name or address, without brackets and port. such_as: an example for the error's message."""
        value = self.string(name, default=default)
        if not (_NAME.fullmatch(value) or is_address(value)):
            raise Misconfigured(f"{name}={value} is not a host such as {such_as}")
        return value

    def hosts(self, name: str, *, such_as: str) -> tuple[str, ...]:
        """Comma-separated hosts in small letters, with ports if the example has one. No address with a scheme."""
        found = tuple(part.lower() for part in self.names(name))
        for part in found:
            has_port = ":" in part and not is_address(part.strip("[]"))
            if _NO_HOST.search(part) or (has_port and ":" not in such_as):
                raise Misconfigured(f"{name}: {part!r} is not a host such as {such_as}")
        return found

    def networks(self, name: str, *, strict: bool) -> tuple[str, ...]:
        """Comma-separated networks in CIDR notation, each once; an address is a network of one.

        strict: refuse an address within a network, such as 10.0.0.5/8; otherwise it stands for the network.
        """
        found: dict[str, None] = {}
        for text in self.names(name):
            try:
                found[str(ipaddress.ip_network(text, strict=strict))] = None
            except ValueError as error:
                raise Misconfigured(f"{name}: {text!r} is not a network such as 10.0.0.0/8 or 10.0.0.5") from error
        return tuple(found)


def web_address(text: str) -> SplitResult | None:
    """The parts of an http or https address with a host; None if the text is none."""
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an IPv6 address, or no port
        return None
    return parts if is_address else None


def own_address(host: str, port: int, *, otherwise: str) -> str:
    """The address of a server that listens on host.

    otherwise: the name in it if the server listens everywhere, or on 127.0.0.1.
    """
    bare = host.strip("[]")
    try:
        is_everywhere = ipaddress.ip_address(bare).is_unspecified
    except ValueError:  # a name
        is_everywhere = False
    if is_everywhere or bare in {"127.0.0.1", "localhost"}:
        return f"http://{otherwise}:{port}"
    return f"http://[{bare}]:{port}" if ":" in bare else f"http://{bare}:{port}"


def is_address(text: str) -> bool:
    """Whether it is an IP address, without brackets and port."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _whole_number(text: str) -> int | None:
    try:
        return int(text) if text.isdecimal() else None
    except ValueError:  # more digits than Python converts
        return None
