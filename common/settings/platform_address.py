"""Where the platform is, read without the settings: they create a secret key, which a client has no use for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.errors import Misconfigured
from common.settings import given_key, read_store, read_web
from common.settings.environment import Environment, web_address
from common.settings.private_files import key_path


@dataclass(frozen=True)
class PlatformAddress:
    """internal_url: where the platform of this machine answers, if it has one. hosts: those of its addresses, in lower
    case; one that begins with a dot stands for all names that end so. database_path: SQLite's file; None with another
    database. has_key: whether there is a secret key already. is_closed: whether the data directory, or a folder above
    it, does not let this user in; then a key or a file of SQLite in it counts as missing.
    """

    internal_url: str
    hosts: tuple[str, ...]
    data_dir: Path
    database_path: Path | None
    has_key: bool
    is_closed: bool

    @property
    def has_database(self) -> bool:
        """Whether there is a database: SQLite's file exists, or a server is named."""
        return self.database_path is None or os.path.isfile(self.database_path)

    def require_open(self, remedy: str) -> None:
        """Raise Misconfigured, with this end of the remedy, if the data directory does not let this user in."""
        if self.is_closed:
            raise Misconfigured(
                f"{self.data_dir} can't be opened by this user; run this as the user that runs the platform, "
                f"or {remedy}"
            )


def read_platform_address(environ: Mapping[str, str] | None = None) -> PlatformAddress:
    """Read where the platform is from the environment. Creates and changes nothing. Raises Misconfigured."""
    env = Environment(os.environ if environ is None else environ)
    store = read_store(env)
    key, is_closed = key_path(store.data_dir), False
    try:
        has_key = key.is_file()
    except OSError:
        has_key, is_closed = False, True
    has_key = has_key or given_key(env) is not None
    web = read_web(env)
    named = [parts.hostname or "" for url in (web.internal_url, web.public_url) if (parts := web_address(url))]
    hosts = (*named, *(host.lower().removeprefix("*") for host in web.allowed_hosts))
    return PlatformAddress(web.internal_url, hosts, store.data_dir, store.database_path, has_key, is_closed)
