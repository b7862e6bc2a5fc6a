"""Names of hosts that programs may reach: `packages.example.com`, `*.example.com`, with a port where that is allowed.

It reads text only: nothing is looked up.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

LONGEST_NAME = 253
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)


def host_pattern(text: str) -> str:
    """The pattern in lower case: a host name, or `*.` and a suffix of two labels or more. ValueError says why not."""
    pattern = text.strip().lower().removesuffix(".")
    name = pattern.removeprefix("*.")
    if "//" in pattern or ":" in pattern or "/" in pattern:
        raise ValueError(f"{text!r} has a scheme, a port or a path; write the name of the host alone")
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise ValueError(f"{text!r} is not a host name such as packages.example.com or *.example.com")
    if name.rpartition(".")[2].isdigit():
        raise ValueError(f"{text!r} is an address; name the host by its name")
    if name != pattern and "." not in name:
        raise ValueError(f"{text!r} takes in a whole top-level domain; write *.example.com")
    return pattern


def host_and_port(text: str) -> str:
    """A host pattern or an IP address, with or without `:port`, in lower case. ValueError says why not."""
    plain = text.strip().lower()
    try:
        return f"[{plain}]" if ipaddress.ip_address(plain).version == 6 else plain
    except ValueError:
        pass
    host, port = _split(plain, text)
    ending = "" if port is None else f":{port}"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host_pattern(host) + ending
    return (f"[{address}]" if address.version == 6 else str(address)) + ending


def _split(plain: str, text: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(f"//{plain}")
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValueError(f"{text!r} is not a host with a port such as packages.example.com:8443") from error
    if "/" in plain or "@" in plain or parts.query or parts.fragment or port == 0 or plain.endswith(":"):
        raise ValueError(f"{text!r} is not a host with a port such as packages.example.com:8443")
    return host, port
