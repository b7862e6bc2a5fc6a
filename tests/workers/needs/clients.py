"""Commands that talk to the databases of a run as a project's tests would, and whether those are installed here."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from common.values.needs import ServiceKind, ServiceNeed
from workers.needs.host import KINDS
from workers.needs.installed import ServiceMissing

POSTGRESQL, MARIADB, REDIS = (ServiceNeed(kind) for kind in ServiceKind)


def needs_installed(*kinds: ServiceKind) -> None:
    """Skip the test if a server is not installed on this machine."""
    for kind in kinds:
        try:
            KINDS[kind](None)
        except ServiceMissing as missing:
            pytest.skip(str(missing))


def sql(statement: str) -> str:
    """A command that runs a statement in PostgreSQL and prints the result."""
    return f'psql "$DATABASE_URL" -qtA -v ON_ERROR_STOP=1 -c {shlex.quote(statement)}'


def mariadb(statement: str) -> str:
    """A command that runs a statement in MariaDB and prints the result."""
    code = (
        "import os, pymysql; e = os.environ\n"
        "c = pymysql.connect(host=e['MYSQL_HOST'], port=int(e['MYSQL_PORT']), user=e['MYSQL_USER'],"
        " password=e['MYSQL_PASSWORD'], database=e['MYSQL_DATABASE'], autocommit=True)\n"
        "with c.cursor() as at:\n"
        f"    at.execute({statement!r}); print(*at.fetchall())"
    )
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"


def redis(call: str) -> str:
    """A command that makes a call of a Redis client, such as `get('x')`, and prints the reply."""
    code = f"import os, redis; print(redis.from_url(os.environ['REDIS_URL']).{call})"
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"


def redis_migrate(port: str) -> str:
    """A command that makes Redis send a key to a port of its loopback, and prints its reply."""
    code = (
        "import os, sys, redis; r = redis.from_url(os.environ['REDIS_URL']); r.set('k', 1)\n"
        "try:\n    print(r.execute_command('MIGRATE', '127.0.0.1', sys.argv[1], 'k', 0, 2000))\n"
        "except redis.RedisError as error:\n    print('refused', error)"
    )
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} {port}"


def attacks(canary: Path, port: int) -> list[str]:
    """Commands that use the rights of the databases' clients to get out: to a file that is the platform's, and to a
    port of this machine. Each prints what it found in its last line; the honest part is that all three serve.
    """
    program = f"cat {canary} 2>&1; (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>&1 && echo reached || echo unreached"
    in_program = f"bash -c '{program}'".replace("'", "''")
    return [
        sql(f"create table got (line text); copy got from program '{in_program}'; select line from got"),
        sql(f"select 'read ' || coalesce(pg_read_file('{canary}', 0, 99, true), 'nothing')"),
        mariadb(f"select load_file('{canary}')"),
        redis_migrate(str(port)),
    ]
