"""Redis, or Valkey in its place, as a server of one run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from common.machine.programs.packaged_valkey import packaged_valkey
from common.values.needs import ServiceKind
from common.values.service_variables import ServiceAddress
from workers.needs.installed import choose, find
from workers.needs.servers import HOST, account_for, exchange, write_private

_READY = b"+OK\r\n+PONG\r\n"


class Redis:
    """See Server. Raises ServiceMissing if neither is installed."""

    kind = ServiceKind.REDIS

    def __init__(self, version: str | None) -> None:
        programs = find(["redis-server", "valkey-server"], packaged_valkey())
        self._program = choose("Redis", "redis-server", programs, version).path
        self.account = account_for(("redis", "valkey", "nobody"), self._program.resolve())

    @property
    def template(self) -> str | None:
        return None

    def make_data(self, directory: Path, log: Path) -> None:
        """Nothing is needed."""

    def lay_out(self, directory: Path, password: str, log: Path, *, is_kept: bool) -> None:
        # The password is not in the arguments, which every user of the machine can read.
        options = {
            "requirepass": password, "bind": HOST, "dir": directory, "save": '""', "daemonize": "no",
            "appendonly": "yes" if is_kept else "no", "appendfsync": "no",
        }  # fmt: skip
        lines = [f"{name} {value}\n" for name, value in options.items()]
        write_private(directory / "redis.conf", "".join(lines), self.account)

    def resume(self, directory: Path) -> None:
        """Nothing is needed."""

    def command(self, directory: Path, port: int) -> Sequence[str | Path]:
        return [self._program, directory / "redis.conf", "--port", str(port)]

    def is_ready(self, directory: Path, address: ServiceAddress) -> bool:
        message = f"AUTH {address.password}\r\nPING\r\n".encode()
        return exchange(address, message, least=len(_READY)) == _READY
