"""The environment variables through which a program finds the database servers of its run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from common.values.needs import ServiceKind
from common.values.variable_set import Variables

USER = DATABASE = "app"
"""The user, an administrator of the server, and the empty database of every SQL service."""


@dataclass(frozen=True)
class ServiceAddress:
    """password: of USER; for redis, of the server."""

    host: str
    port: int
    password: str = field(repr=False)


def service_variables(addresses: Mapping[ServiceKind, ServiceAddress]) -> Variables:
    """The variables of these services. DATABASE_URL is PostgreSQL's, or MariaDB's if that is the only SQL service."""
    values: dict[str, str] = {}
    if address := addresses.get(ServiceKind.REDIS):
        values["REDIS_URL"] = f"redis://:{address.password}@{address.host}:{address.port}/0"
        values |= _parts("REDIS_", address)
    if address := addresses.get(ServiceKind.MARIADB):
        values["DATABASE_URL"] = values["MYSQL_URL"] = _url("mysql", address)
        values |= _parts("MYSQL_", address) | {"MYSQL_USER": USER, "MYSQL_DATABASE": DATABASE}
    if address := addresses.get(ServiceKind.POSTGRESQL):
        values["DATABASE_URL"] = values["POSTGRES_URL"] = _url("postgresql", address)
        values |= _parts("PG", address) | {"PGUSER": USER, "PGDATABASE": DATABASE}
    secrets = tuple(name for name in values if name.endswith(("URL", "PASSWORD")))
    return Variables(values, secrets)


def with_service_variables(variables: Variables, services: Variables) -> Variables:
    """Both; of a name in both, the project's own value is used."""
    names = dict.fromkeys((*variables.secret_names, *services.secret_names))
    return Variables({**services.values, **variables.values}, tuple(names))


def _url(scheme: str, address: ServiceAddress) -> str:
    return f"{scheme}://{USER}:{address.password}@{address.host}:{address.port}/{DATABASE}"


def _parts(prefix: str, address: ServiceAddress) -> dict[str, str]:
    """HOST, PORT and PASSWORD with a prefix."""
    values = {"HOST": address.host, "PORT": str(address.port), "PASSWORD": address.password}
    return {f"{prefix}{name}": value for name, value in values.items()}
