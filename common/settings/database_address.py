"""The database's address, read and checked without the database's libraries: many processes never load them.

What SQLAlchemy or the driver can't use would be an error of theirs, which names no variable, at the first connection.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from common.errors import Misconfigured

# As SQLAlchemy reads it: a password may contain anything but an at sign.
_SERVER = re.compile(
    r"mysql\+pymysql://(?:[^:/]*(?::[^@]*)?@)?(?:\[[^/?]+\]|[^/:?]+)?(?::(?P<port>[^/?]*))?(?:/[^?]*)?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_NUMBERS = {"client_flag", "connect_timeout", "read_timeout", "write_timeout"}
_OPTIONS = _NUMBERS | {
    "bind_address", "binary_prefix", "charset", "collation", "init_command", "local_infile", "max_allowed_packet",
    "program_name", "read_default_file", "read_default_group", "server_public_key", "sql_mode", "ssl_ca",
    "ssl_capath", "ssl_cert", "ssl_check_hostname", "ssl_cipher", "ssl_disabled", "ssl_key", "ssl_key_password",
    "ssl_verify_cert", "ssl_verify_identity", "unix_socket", "use_unicode",
}  # fmt: skip
"""What may follow the question mark."""


def checked_server(url: str) -> str:
    """The address of a MySQL or MariaDB server as it is given. Raises Misconfigured, without showing its password."""
    found = _SERVER.fullmatch(url)
    port = "" if found is None else found["port"] or ""
    if found is None or (port and not (port.isdecimal() and len(port) <= 5 and 0 < int(port) <= 65535)):
        raise Misconfigured(
            "AIWORKER_DATABASE_URL must be an address such as mysql+pymysql://user:password@db.example:3306/aiworker"
        )
    for name, value in parse_qsl(found["query"] or ""):
        if name not in _OPTIONS:
            raise Misconfigured(
                f"AIWORKER_DATABASE_URL: {name} is no option of a connection; take it out of the address"
            )
        if name in _NUMBERS and not (value.isascii() and value.isdecimal()):
            raise Misconfigured(f"AIWORKER_DATABASE_URL: {name}={value} is not a whole number")
    return url


def sqlite_address(path: Path) -> str:
    """The address of a file of SQLite. SQLAlchemy decodes it, and takes what follows a question mark for options."""
    return f"sqlite:///{str(path.absolute()).replace('%', '%25').replace('?', '%3F')}"


def sqlite_path(url: str) -> Path:
    """The file that the address of SQLite names."""
    return Path(unquote(url.removeprefix("sqlite:///").partition("?")[0]))


def absolute_file(url: str) -> str:
    """The address of a file of SQLite with its whole path: not all processes have the same working directory."""
    given, mark, options = url.partition("?")
    if given.removeprefix("sqlite:///").startswith(("/", ":", "file:")):
        return url
    return f"{sqlite_address(sqlite_path(given))}{mark}{options}"
