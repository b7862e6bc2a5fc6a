"""PostgreSQL as a server of one run. It refuses to run as root, so root runs it as another user."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from common.values.needs import ServiceKind
from common.values.service_variables import DATABASE, USER, ServiceAddress
from workers.needs.installed import ServiceMissing, choose, find
from workers.needs.servers import HOST, account_for, template_name, write_private

OPTIONS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    # Not in /dev/shm, where it would stay after a kill.
    "dynamic_shared_memory_type": "mmap",
    "logging_collector": "off",
}


class PostgreSQL:
    """See Server. Raises ServiceMissing if it is not installed."""

    kind = ServiceKind.POSTGRESQL

    def __init__(self, version: str | None) -> None:
        debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True)
        self._postgres = choose("PostgreSQL", "postgresql", find(["postgres"], debian), version).path.resolve()
        self._initdb = self._postgres.with_name("initdb")
        if not self._initdb.is_file():
            raise ServiceMissing(f"PostgreSQL's initdb is not in {self._postgres.parent}; install PostgreSQL again")
        self.account = account_for(("postgres", "nobody"), self._postgres)

    @property
    def template(self) -> str | None:
        return template_name(self.kind, self._postgres)

    def make_data(self, directory: Path, log: Path) -> None:
        # Without a password, initdb allows no authentication by one. This one is replaced and known to nobody.
        secret = directory / "password"
        write_private(secret, secrets.token_hex(16), self.account)
        self.account.run(
            [self._initdb, f"--pgdata={directory / 'data'}", f"--username={USER}", f"--pwfile={secret}",
             "--auth=scram-sha-256", "--encoding=UTF8", "--wal-segsize=1", "--no-sync", "--no-instructions"],
            cwd=directory, log=log,
        )  # fmt: skip
        secret.unlink()
        self._tell(f"CREATE DATABASE {DATABASE}", directory, log)

    def lay_out(self, directory: Path, password: str, log: Path, *, is_kept: bool) -> None:
        self._tell(f"ALTER ROLE {USER} PASSWORD '{password}'", directory, log)

    def resume(self, directory: Path) -> None:
        # Its number may be another process's now, and it says that the server is ready.
        (directory / "data" / "postmaster.pid").unlink(missing_ok=True)

    def _tell(self, statement: str, directory: Path, log: Path) -> None:
        """Run a statement in a server process for one client, which reads its standard input."""
        data = str(directory / "data")
        options = ["--single", "-D", data, "-c", "exit_on_error=true", *_options(), "postgres"]
        self.account.run([self._postgres, *options], cwd=directory, log=log, text=f"{statement}\n")

    def command(self, directory: Path, port: int) -> Sequence[str | Path]:
        return [self._postgres, "-D", directory / "data", "-p", str(port), *_options()]

    def is_ready(self, directory: Path, address: ServiceAddress) -> bool:
        try:
            lines = (directory / "data" / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"


def _options() -> list[str]:
    return [part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}")]
