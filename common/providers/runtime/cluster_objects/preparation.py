"""The containers that make a pod's checkout ready: databases beside the app (sidecars) and the setup command.

A sidecar is an init container that keeps running (Kubernetes 1.29 or newer). It starts before the setup command, which
begins when the sidecar is ready. It listens on loopback, so that only the pod's own containers reach it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.providers.runtime.cluster_objects import check_reports, hardening, names
from common.providers.runtime.cluster_objects.types import KubeObject, literal
from common.values.needs import SETUP_SECONDS, Needs, ServiceKind, ServiceNeed
from common.values.service_variables import DATABASE, USER, ServiceAddress, service_variables, with_service_variables
from common.values.variable_set import Variables

SETUP = "setup"
"""The container of the setup command."""
SERVICE_PREFIX = "service-"
"""The containers of databases: this and the kind."""
TIMED_OUT_EXIT = 124
_HOST = "127.0.0.1"
_SIZE = "2Gi"
"""Of a database's files."""
_LIMITED = f'command -v timeout >/dev/null && exec timeout {SETUP_SECONDS:g} sh -c "$0"; exec sh -c "$0"'
"""Runs $0 with the setup command's time limit, in images that have `timeout`, which exits with TIMED_OUT_EXIT."""


@dataclass(frozen=True)
class _Recipe:
    """How the official image of a kind is used. environ: besides the password, whose name is `password`.

    folders: path in the container → folder of the database's volume, as everything else is read-only.
    """

    image: str
    version: str
    port: int
    password: str
    environ: dict[str, str]
    folders: dict[str, str]
    probe: str
    command: str


_RECIPES = {
    ServiceKind.POSTGRESQL: _Recipe(
        "postgres", "17", 5432, "POSTGRES_PASSWORD",
        {"POSTGRES_USER": USER, "POSTGRES_DB": DATABASE, "PGDATA": "/service/files"},
        {"/service": "data", "/var/run/postgresql": "run", "/tmp": "tmp"},  # noqa: S108
        f"pg_isready -q -h {_HOST} -U {USER} -d {DATABASE}",
        f"exec docker-entrypoint.sh postgres -c listen_addresses={_HOST} -c fsync=off -c full_page_writes=off",
    ),
    ServiceKind.MARIADB: _Recipe(
        "mariadb", "11", 3306, "MARIADB_PASSWORD",
        {"MARIADB_USER": USER, "MARIADB_DATABASE": DATABASE, "MARIADB_RANDOM_ROOT_PASSWORD": "1"},
        {"/var/lib/mysql": "data", "/run/mysqld": "run", "/tmp": "tmp", "/docker-entrypoint-initdb.d": "init"},  # noqa: S108
        f'mariadb -h {_HOST} -u {USER} -p"$MARIADB_PASSWORD" -e "select 1" {DATABASE}',
        f"echo \"GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\" >/docker-entrypoint-initdb.d/grant.sql"
        f" && exec docker-entrypoint.sh mariadbd --bind-address={_HOST} --character-set-server=utf8mb4",
    ),
    ServiceKind.REDIS: _Recipe(
        "redis", "8", 6379, "REDIS_PASSWORD", {}, {"/data": "data", "/tmp": "tmp"},  # noqa: S108
        'test "$(redis-cli -h ' + _HOST + ' -a "$REDIS_PASSWORD" --no-auth-warning ping)" = PONG',
        f"exec redis-server --bind {_HOST} --save '' --appendonly no --dir /data --requirepass \"$REDIS_PASSWORD\"",
    ),
}  # fmt: skip


def with_services(variables: Variables, needs: Needs, seed: str) -> Variables:
    """The variables of a pod's program, with those of its databases. seed: the same for the pod's sidecars."""
    addresses = {
        need.kind: ServiceAddress(_HOST, _RECIPES[need.kind].port, _password(need, seed)) for need in needs.services
    }
    return with_service_variables(variables, service_variables(addresses))


def sidecars(needs: Needs, seed: str) -> list[KubeObject]:
    """The databases of a pod. seed: the version's or the check's id; the same id makes the same containers."""
    return [_sidecar(need, _RECIPES[need.kind], seed) for need in needs.services]


def volumes(needs: Needs) -> list[KubeObject]:
    return [{"name": _name(need), "emptyDir": {"sizeLimit": _SIZE}} for need in needs.services]


def setup(needs: Needs, like: KubeObject) -> list[KubeObject]:
    """The container that runs the setup command, as the container `like`; empty if there is no setup command."""
    if needs.setup_command is None:
        return []
    kept = {key: like[key] for key in like if key not in {"ports", "readinessProbe"}}
    command = ["sh", "-c", _LIMITED, literal(needs.setup_command)]
    return [kept | {"name": SETUP, "command": command, "terminationMessagePolicy": "FallbackToLogsOnError"}]


def setup_seconds(needs: Needs) -> int:
    """How long a pod may take longer because of its setup command."""
    return int(SETUP_SECONDS) if needs.setup_command is not None else 0


def _sidecar(need: ServiceNeed, recipe: _Recipe, seed: str) -> KubeObject:
    environ = recipe.environ | {recipe.password: _password(need, seed)}
    return {
        "name": _name(need),
        "image": f"{recipe.image}:{need.version or recipe.version}",
        "restartPolicy": "Always",
        "command": ["sh", "-c", recipe.command],
        "env": [{"name": name, "value": value} for name, value in environ.items()],
        "startupProbe": {
            "exec": {"command": ["sh", "-c", recipe.probe]},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            "failureThreshold": 120,
        },
        "resources": hardening.resources("500m", "512Mi", _SIZE, is_preview=True),
        "securityContext": hardening.container(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": _name(need), "mountPath": path, "subPath": folder} for path, folder in recipe.folders.items()
        ],
    }


def _name(need: ServiceNeed) -> str:
    return f"{SERVICE_PREFIX}{need.kind}"


def _password(need: ServiceNeed, seed: str) -> str:
    """The same for the same pod template, so that this stays the same. Nobody outside of the pod can connect."""
    return names.digest("service", need.kind, seed)


def logged(containers: Sequence[KubeObject]) -> list[KubeObject]:
    """The statuses of init containers whose logs people may want: all but those of databases and the reports'."""
    return [one for one in containers if not str(one.get("name", "")).startswith((SERVICE_PREFIX, check_reports.NAME))]
