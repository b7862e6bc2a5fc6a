"""MariaDB as a server of one run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from common.values.needs import ServiceKind
from common.values.service_variables import DATABASE, USER, ServiceAddress
from workers.needs.installed import ServiceMissing, choose, find
from workers.needs.servers import HOST, account_for, exchange, template_name, write_private

SIZES = ("--innodb-log-file-size=8M",)
GREETING_BYTES = 5
PROTOCOL = 10
"""The fifth byte of a server's greeting: the version of its protocol. In place of a greeting, an error has 255."""


class MariaDB:
    """See Server. Raises ServiceMissing if it is not installed."""

    kind = ServiceKind.MARIADB

    def __init__(self, version: str | None) -> None:
        self._mariadbd = choose("MariaDB", "mariadb-server", find(["mariadbd"]), version).path
        installers = find(["mariadb-install-db"])
        if not installers:
            raise ServiceMissing(
                "MariaDB's mariadb-install-db is not installed (on Debian: apt-get install mariadb-server)"
            )
        self._install = installers[0].path
        self.account = account_for(("mysql", "nobody"), self._mariadbd)

    @property
    def template(self) -> str | None:
        return template_name(self.kind, self._mariadbd.resolve())

    def make_data(self, directory: Path, log: Path) -> None:
        scratch = directory / "tmp"
        scratch.mkdir(mode=0o700)
        self.account.own(scratch)
        self.account.run(
            [self._install, "--no-defaults", f"--datadir={directory / 'data'}", f"--tmpdir={scratch}", "--skip-test-db",
             "--auth-root-authentication-method=normal", *SIZES, *self._as_root()],
            cwd=directory, log=log,
        )  # fmt: skip

    def lay_out(self, directory: Path, password: str, log: Path, *, is_kept: bool) -> None:
        scratch = directory / "tmp"
        for folder in (scratch, directory / "files"):
            folder.mkdir(mode=0o700, exist_ok=True)
            self.account.own(folder)
        # One statement a line. The first one removes the accounts without a password.
        statements = [
            "DELETE FROM mysql.global_priv WHERE User <> 'mariadb.sys'",
            "FLUSH PRIVILEGES",
            f"CREATE USER '{USER}'@'%' IDENTIFIED BY '{password}'",
            f"GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION",
            f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4",
        ]
        write_private(directory / "init.sql", "".join(f"{statement};\n" for statement in statements), self.account)

    def resume(self, directory: Path) -> None:
        # It removes accounts.
        (directory / "init.sql").unlink(missing_ok=True)

    def command(self, directory: Path, port: int) -> Sequence[str | Path]:
        first = directory / "init.sql"
        return [
            self._mariadbd, "--no-defaults", *self._as_root(), f"--datadir={directory / 'data'}",
            f"--tmpdir={directory / 'tmp'}", f"--secure-file-priv={directory / 'files'}",
            f"--socket={directory / 's'}", f"--pid-file={directory / 'pid'}",
            *([f"--init-file={first}"] if first.exists() else []), f"--port={port}", f"--bind-address={HOST}",
            "--skip-name-resolve", "--skip-log-bin", "--skip-ssl", "--character-set-server=utf8mb4", *SIZES,
            "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync",
            "--skip-innodb-doublewrite",
        ]  # fmt: skip

    def is_ready(self, directory: Path, address: ServiceAddress) -> bool:
        greeting = exchange(address, b"", least=GREETING_BYTES)
        return len(greeting) >= GREETING_BYTES and greeting[4] == PROTOCOL

    def _as_root(self) -> list[str]:
        """The option without which MariaDB refuses to run as root."""
        return ["--user=root"] if self.account.name is None and os.geteuid() == 0 else []
