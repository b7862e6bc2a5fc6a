"""Checks whether AiWorker can use a MySQL or MariaDB server with its account. Reads no rows and writes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from common.database import engines
from common.services.upkeep.schema import is_current
from common.values.finding import Finding

PART = "database"
OLDEST = {"MySQL": (8, 0), "MariaDB": (10, 6)}
"""The first versions with SKIP LOCKED."""
DAILY = ("SELECT", "INSERT", "UPDATE", "DELETE")
UPGRADE = ("CREATE", "ALTER", "DROP", "INDEX", "REFERENCES")
ISOLATION = "READ-COMMITTED"

_GRANT = re.compile(r"GRANT (?P<what>.+?) ON (TABLE )?(?P<scope>\*|`(?:[^`]|``)+`)\.\* TO ", re.IGNORECASE)
_VARIABLES = (
    "version", "transaction_isolation", "tx_isolation", "read_only", "log_bin", "binlog_format", "character_set_client",
)  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What a server reports about itself and the account. charset: the database's default for new tables.

    variables: by name, from SHOW VARIABLES within a transaction. grants: the lines of SHOW GRANTS.
    """

    database: str
    charset: str
    variables: dict[str, str]
    grants: tuple[str, ...]
    is_schema_there: bool


def examine_database() -> Iterator[Finding]:
    """Yield one finding per check of the configured server. Call it only for MySQL and MariaDB.

    Yields nothing if the server does not answer, as `require_current` reports that.
    """
    try:
        with engines.engine().connect() as connection:
            facts = _read(connection)
    except DBAPIError as error:
        if not engines.is_unreachable(error):
            yield Finding("fail", PART, f"it can't be examined: {error.orig}")
        return
    yield from judge(facts)


def judge(facts: Facts) -> Iterator[Finding]:
    """Yield the findings that follow from these facts."""
    yield _version(facts.variables["version"])
    yield _charset(facts)
    yield from _privileges(facts)
    yield from _modes(facts.variables)


def _read(connection: Connection) -> Facts:
    named = ", ".join(f"'{name}'" for name in _VARIABLES)
    variables = connection.execute(text(f"SHOW VARIABLES WHERE Variable_name IN ({named})"))
    where = "FROM information_schema.schemata WHERE schema_name = DATABASE()"
    found = connection.execute(text(f"SELECT schema_name, default_character_set_name {where}")).one()
    return Facts(
        database=str(found[0]),
        charset=str(found[1]),
        variables={str(name).lower(): str(value) for name, value in variables},
        grants=tuple(str(row[0]) for row in connection.execute(text("SHOW GRANTS"))),
        is_schema_there=is_current(),
    )


def _version(name: str) -> Finding:
    kind = "MariaDB" if "mariadb" in name.lower() else "MySQL"
    # Some MariaDB servers prefix their version with this, for old clients.
    found = re.search(r"(\d+)\.(\d+)", name.removeprefix("5.5.5-"))
    oldest = OLDEST[kind]
    if found is None or (int(found[1]), int(found[2])) < oldest:
        needed = ".".join(str(part) for part in oldest)
        return Finding("fail", PART, f"{kind} {name} is too old; update the server to {needed} or newer")
    return Finding("ok", PART, f"{kind} {name}")


def _charset(facts: Facts) -> Finding:
    used = facts.variables["character_set_client"]
    if used != "utf8mb4":
        says = f"the connection uses {used}, which can't encode all text; remove charset= from AIWORKER_DATABASE_URL"
        return Finding("fail", PART, says)
    if facts.charset != "utf8mb4":
        says = f"the database's default character set is {facts.charset}"
        return Finding("warn", PART, f"{says}; ALTER DATABASE {facts.database} CHARACTER SET utf8mb4")
    return Finding("ok", PART, "its character set is utf8mb4")


def _privileges(facts: Facts) -> Iterator[Finding]:
    held = _held(facts)
    if "ALL PRIVILEGES" in held:
        held |= {*DAILY, *UPGRADE}
    daily = [name for name in DAILY if name not in held]
    upgrade = [name for name in UPGRADE if name not in held]
    if not daily and not upgrade:
        yield Finding("ok", PART, "the account may read, write and alter")
        return
    has_roles = any(" ON " not in line for line in facts.grants)
    for lacking, status, use in (
        (daily, "fail", "always needed"),
        (upgrade, "warn" if facts.is_schema_there else "fail", "needed by aiworker db upgrade"),
    ):
        if not lacking:
            continue
        says = f"the account lacks {', '.join(lacking)} ({use}); GRANT {', '.join(lacking)} ON {facts.database}.* TO it"
        if has_roles:
            yield Finding("warn", PART, f"{says}, unless one of its roles has them, which can't be checked")
        else:
            yield Finding(status, PART, says)


def _held(facts: Facts) -> set[str]:
    """The account's privileges on the whole database, in upper case."""
    held: set[str] = set()
    for line in facts.grants:
        found = _GRANT.match(line)
        if found is not None and _covers(found["scope"], facts.database):
            held |= {name.strip().upper() for name in found["what"].split(",")}
    return held


def _covers(scope: str, name: str) -> bool:
    """Whether a grant on this scope, a pattern with % and _, applies to the database."""
    if scope == "*":
        return True
    parts = re.findall(r"\\.|.", scope[1:-1].replace("``", "`"), re.DOTALL)
    pattern = "".join({"%": ".*", "_": "."}.get(part) or re.escape(part[-1]) for part in parts)
    return re.fullmatch(pattern, name, re.DOTALL) is not None


def _modes(variables: dict[str, str]) -> Sequence[Finding]:
    found = []
    isolation = variables.get("transaction_isolation") or variables.get("tx_isolation", "unknown")
    if isolation != ISOLATION:
        says = f"transactions are {isolation}, although {ISOLATION} was requested; check for a proxy that changes this"
        found.append(Finding("fail", PART, says))
    if variables.get("log_bin") == "ON" and variables.get("binlog_format") == "STATEMENT":
        says = f"binlog_format=STATEMENT refuses every change under {ISOLATION}; set it to ROW or MIXED"
        found.append(Finding("fail", PART, says))
    if variables.get("read_only", "OFF") not in {"OFF", "0", "NO_LOCK"}:
        says = "the server is read-only: is it a replica? Set AIWORKER_DATABASE_URL to the primary, or read_only=OFF"
        found.append(Finding("fail", PART, says))
    return found or [Finding("ok", PART, f"it is writable, and transactions are {isolation}")]
