"""The database's address, read and checked without the database's libraries: many processes never load them.

And whether a database is in use, asked before there are settings: a new secret key is made only where it is not.

What SQLAlchemy or the driver can't use would be an error of theirs, which names no variable, at the first connection.
"""

from __future__ import annotations

import importlib
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode

from common.errors import Misconfigured
from common.machine.certificates import bundle

# As SQLAlchemy reads it: a password may contain anything but an at sign.
_SERVER = re.compile(
    r"mysql\+pymysql://(?:[^:/]*(?::[^@]*)?@)?(?:\[[^/?]+\]|[^/:?]+)?(?::(?P<port>[^/?]*))?(?:/[^?]*)?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
CONNECT_SECONDS = 3
READ_SECONDS = 30
_QUERY = "SELECT 1 FROM users LIMIT 1"
_NO_TABLE = 1146
_NUMBERS = {"client_flag", "connect_timeout", "read_timeout", "write_timeout"}
_OPTIONS = _NUMBERS | {
    "bind_address", "binary_prefix", "charset", "collation", "init_command", "local_infile", "max_allowed_packet",
    "program_name", "read_default_file", "read_default_group", "server_public_key", "sql_mode", "ssl_ca",
    "ssl_capath", "ssl_cert", "ssl_check_hostname", "ssl_cipher", "ssl_disabled", "ssl_key", "ssl_key_password",
    "ssl_verify_cert", "ssl_verify_identity", "unix_socket", "use_unicode",
}  # fmt: skip
"""What may follow the question mark."""
_FILES = {"ssl_ca", "ssl_cert", "ssl_key"}
_SAID = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def checked_server(url: str) -> str:
    """The address of a MySQL or MariaDB server, with what it says of certificates in the words of SQLAlchemy.

    Raises Misconfigured, without showing its password.
    """
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
        if name in _FILES:
            _check_file(name, value)
    return _with_verification(url, found["query"] or "")


def _check_file(name: str, path: str) -> None:
    """Raise Misconfigured if the option names no file in PEM: the driver's error would name no setting."""
    try:
        is_pem = b"-----BEGIN " in Path(path).read_bytes()
    except OSError as error:
        raise Misconfigured(f"AIWORKER_DATABASE_URL: {name}={path} can't be read: {error.strerror}") from error
    if not is_pem:
        raise Misconfigured(f"AIWORKER_DATABASE_URL: {name}={path} is no file in PEM")


def _with_verification(url: str, query: str) -> str:
    """The address without `ssl_verify_cert` and `ssl_verify_identity`, with other options that do what they mean.

    Beside them, the driver would forget the `ssl_ca` that SQLAlchemy gives it, and without `ssl_ca` check no name.
    """
    options = dict(parse_qsl(query))
    has_authority = "ssl_ca" in options or "ssl_capath" in options
    certificate, name = (_yes_or_no(options, of) for of in ("ssl_verify_cert", "ssl_verify_identity"))
    if certificate is None and name is None:
        return url
    if name or (has_authority if certificate is None else certificate):
        if not has_authority:
            options["ssl_ca"] = _machine_bundle()
        if name is False:
            options["ssl_check_hostname"] = "false"
    else:
        options = {each: value for each, value in options.items() if each not in {"ssl_ca", "ssl_capath"}}
        # Any such option demands TLS.
        options["ssl_check_hostname"] = "false"
    return url.removesuffix(query) + urlencode(options)


def _yes_or_no(options: dict[str, str], name: str) -> bool | None:
    """The option, which is taken out; None: it is not there."""
    value = options.pop(name, None)
    if value is not None and value.lower() not in _SAID:
        raise Misconfigured(f"AIWORKER_DATABASE_URL: {name}={value} is neither true nor false")
    return None if value is None else _SAID[value.lower()]


def _machine_bundle() -> str:
    found = bundle()
    if found is None:
        raise Misconfigured("AIWORKER_DATABASE_URL: this machine has no file of authorities; name one with ssl_ca")
    return found


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


def has_users(database_url: str) -> bool:
    """Whether the database has a user, of any version's schema. Creates nothing. Misconfigured if it can't be asked."""
    if database_url.startswith("sqlite"):
        return _sqlite_has_users(sqlite_path(database_url))
    return _server_has_users(database_url)


def _sqlite_has_users(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            has_table = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'users'")
            return bool(has_table.fetchone() and connection.execute(_QUERY).fetchone())
    except sqlite3.Error as error:
        raise Misconfigured(f"the database {path} can't be used: {error}; check AIWORKER_DATABASE_URL") from error


def _server_has_users(url: str) -> bool:
    # Loaded here only: most processes that read the settings have a key, and some never use a database.
    sqlalchemy = importlib.import_module("sqlalchemy")
    patience = {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS}
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args=patience, hide_parameters=True)
    try:
        with engine.connect() as connection:
            return connection.execute(sqlalchemy.text(_QUERY)).first() is not None
    except sqlalchemy.exc.DBAPIError as error:
        if error.orig.args[:1] == (_NO_TABLE,):
            return False
        where = engine.url.render_as_string(hide_password=True)
        raise Misconfigured(f"the database {where} can't be used: {error.orig}; check AIWORKER_DATABASE_URL") from error
