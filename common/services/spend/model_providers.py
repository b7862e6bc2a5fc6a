"""Providers of models: those that administrators add, and those that the environment names.

A stored provider takes precedence over the environment's of the same API. Keys are sealed and never returned.
"""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast
from urllib.parse import SplitResult, urlsplit

import structlog
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from common.database.compiled_statements import Statement
from common.errors import Conflict, Invalid, NotFound
from common.events.catalogue import SettingsChanged
from common.jobs.outbox import actor
from common.machine.text import camel_case
from common.models.spend import ModelProvider as ProviderRow
from common.secrets.sealing import seal, unseal
from common.services.requests.access import Caller
from common.services.spend import fallbacks
from common.settings import ProviderSettings, settings
from common.transaction import Snapshot, Transaction, snapshot, transactional
from common.values.names import new_id
from common.values.runs.model_provider import LOGINS, MODEL_APIS, ModelPrice, ModelProvider, Route
from common.values.states import Role

log = structlog.get_logger()

NAME_PATTERN = r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?"
LONGEST_URL = 500
_SPACE = uuid.UUID("8f1c4f7e-6f0b-4f7a-9a55-1f0f6d0e7c11")
"""Ids of the environment's providers are made from their API in this namespace."""


@dataclass(frozen=True)
class ProviderView:
    """A provider without its key. source: `stored` or `environment`. enabled: whether runs are given it; False for one
    of the environment that a stored provider replaces. created_by, created_at, updated_at: None for the environment's.
    """

    id: str
    name: str
    api: str
    base_url: str
    login: str
    has_key: bool
    models: list[str]
    prices: dict[str, object]
    enabled: bool
    source: str
    fallback: str | None = None
    fallback_model: str | None = None
    created_by: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True)
class NewProvider:
    """prices: model → `input`, `output`, and optionally `cached`, `cache_write`: US dollars per million tokens.

    fallback, fallback_model: see `ModelProvider` of common/models.
    """

    name: str
    api: str
    base_url: str
    login: str = "key"
    key: str | None = field(default=None, repr=False)
    models: list[str] = field(default_factory=list)
    prices: dict[str, dict[str, float]] = field(default_factory=dict)
    enabled: bool = True
    fallback: str | None = None
    fallback_model: str | None = None


def list_providers(by: Caller) -> list[ProviderView]:
    """All providers: the stored ones by name, then those of the environment."""
    by.require(Role.MEMBER)
    with snapshot() as read:
        rows = list(read.all(select(ProviderRow).order_by(ProviderRow.name)))
    replaced = {row.api for row in rows if row.is_enabled}
    of_environment = [_view_of_environment(one, one.api not in replaced) for one in settings().models.providers]
    return [_view(row) for row in rows] + of_environment


def read_provider(provider_id: str, *, by: Caller) -> ProviderView:
    found = [provider for provider in list_providers(by) if provider.id == provider_id]
    if not found:
        raise NotFound(f"model provider {provider_id}")
    return found[0]


def open_provider(provider_id: str, *, by: Caller) -> ModelProvider:
    """The provider with its key, also one that is not enabled. For administrators; NotFound if there is none."""
    by.require(Role.ADMIN)
    of_environment = (one for one in settings().models.providers if _environment_id(one) == provider_id)
    with snapshot() as read:
        found = read.get(ProviderRow, provider_id) or next(of_environment, None)
    if found is None:
        raise NotFound(f"model provider {provider_id}")
    return opened(found)


@transactional
def create_provider(tx: Transaction, new: NewProvider, *, by: Caller) -> ProviderView:
    """Store a provider. Invalid for wrong values, Conflict if the name is taken."""
    by.require(Role.ADMIN)
    _check_name(new.name, new.api)
    _check_base_url(new.base_url)
    _check_login(new.api, new.login, has_key=bool(new.key))
    row = ProviderRow(
        id=new_id(), name=new.name, api=new.api, base_url=new.base_url.rstrip("/"), login=new.login,
        key_sealed=seal(new.key) if new.key else None, models=list(dict.fromkeys(new.models)), prices=dict(new.prices),
        is_enabled=new.enabled, created_by=actor(), created_at=tx.now(), updated_at=tx.now(), fallback=new.fallback,
        fallback_model=new.fallback_model,
    )  # fmt: skip
    fallbacks.check(tx, row)
    _add(tx, row)
    _record(tx, row, "created")
    log.info("model provider created", provider=row.name, api=row.api, base_url=row.base_url, by=by.name)
    return _view(row)


@transactional
def update_provider(tx: Transaction, provider_id: str, changes: Mapping[str, object], *, by: Caller) -> ProviderView:
    """Change these fields. A key that is not among them stays, except that the login `none` removes it.

    Invalid for wrong values, Conflict if the name is taken or the environment names the provider.
    """
    by.require(Role.ADMIN)
    row = _locked(tx, provider_id)
    before, former_name, former_api = _view(row), row.name, row.api
    changed = dict(changes)
    key = cast("str | None", changed.pop("key", None))
    if key is not None:
        row.key_sealed = seal(key)
    for name, value in changed.items():
        setattr(row, {"enabled": "is_enabled"}.get(name, name), value)
    if row.login == "none" and key is None:
        row.key_sealed = None
    _check_name(row.name, row.api)
    _check_base_url(row.base_url)
    _check_login(row.api, row.login, has_key=row.key_sealed is not None)
    row.base_url, row.models = row.base_url.rstrip("/"), list(dict.fromkeys(row.models))
    row.updated_at = tx.now()
    if row.api != former_api:
        fallbacks.require_unnamed(tx, former_name)
    fallbacks.check(tx, row)
    _add(tx, row)
    if row.name != former_name:
        fallbacks.rename(tx, former_name, row.name)
    after = _view(row)
    names = [name for name in _RECORDED if getattr(after, name) != getattr(before, name)]
    fields = sorted([*names, *(["key"] if key is not None or after.has_key != before.has_key else [])])
    if fields:
        _record(tx, row, "changed", fields)
    log.info("model provider changed", provider=row.name, fields=fields, by=by.name)
    return after


@transactional
def delete_provider(tx: Transaction, provider_id: str, *, by: Caller) -> None:
    """Delete the provider and its key. Calls that are under way end as they would.

    Providers that name it as their fallback have none then.
    """
    by.require(Role.ADMIN)
    row = _locked(tx, provider_id)
    fallbacks.rename(tx, row.name, None)
    _record(tx, row, "deleted")
    tx.session.delete(row)
    log.info("model provider deleted", provider=row.name, by=by.name)


_RECORDED = ("name", "api", "base_url", "login", "models", "prices", "enabled", "fallback", "fallback_model")
"""The fields that a change may name, beside the key."""


def _record(tx: Transaction, row: ProviderRow, change: str, fields: Sequence[str] = ()) -> None:
    changed = tuple(camel_case(name) for name in fields) or None
    tx.record(SettingsChanged(what="model_provider", change=change, id=row.id, item_name=row.name, changed=changed))


_ANY_STORED = Statement(lambda: select(ProviderRow.id).limit(1))


def usable_providers(at: Snapshot | Transaction) -> list[ProviderRow | ProviderSettings]:
    """The enabled providers, with sealed keys: stored ones by age, then the environment's for APIs without those."""
    query = select(ProviderRow).where(ProviderRow.is_enabled).order_by(ProviderRow.created_at, ProviderRow.id)
    # Many an installation has none: that takes a tenth of the time of the query.
    rows = list(at.all(query)) if at.rows(_ANY_STORED) else []
    taken = {row.api for row in rows}
    return [*rows, *(one for one in settings().models.providers if one.api not in taken)]


def find_usable(at: Snapshot | Transaction, name: str) -> ModelProvider | None:
    """The enabled provider of this name, else the first of the API of this name; None if there is none."""
    routes = find_routes(at, name)
    return routes[0].provider if routes else None


def find_routes(at: Snapshot | Transaction, name: str) -> tuple[Route, ...]:
    """The provider that `find_usable` finds, then its fallbacks, in their order. Empty if there is none.

    A fallback that is not enabled is left out, with those behind it.
    """
    usable = {name_of(one): one for one in usable_providers(at)}
    first = usable.get(name) or next((one for one in usable.values() if one.api == name), None)
    if first is None:
        return ()
    routes, seen, following = [Route(opened(first))], {name_of(first)}, first
    while True:
        model = following.fallback_model
        named = None if isinstance(following, ProviderSettings) else following.fallback
        if named is None:
            return (*routes, Route(routes[-1].provider, model)) if model else tuple(routes)
        if named in seen or named not in usable or usable[named].api != first.api:
            return tuple(routes)
        following = usable[named]
        seen.add(named)
        routes.append(Route(opened(following), model))


def name_of(provider: ProviderRow | ProviderSettings) -> str:
    """The name by which the gateway's addresses call it; that of the environment's is its API's."""
    return provider.api if isinstance(provider, ProviderSettings) else provider.name


def opened(provider: ProviderRow | ProviderSettings) -> ModelProvider:
    """The provider with its key."""
    if isinstance(provider, ProviderSettings):
        return ModelProvider(provider.api, provider.api, provider.base_url, provider.login, provider.key)
    key = unseal(provider.key_sealed) if provider.key_sealed else None
    prices = {model: _price(cast("Mapping[str, float]", given)) for model, given in provider.prices.items()}
    return ModelProvider(
        provider.name, provider.api, provider.base_url, provider.login, key, tuple(provider.models), prices
    )


def _price(given: Mapping[str, float]) -> ModelPrice:
    """Tokens read from a cache or written to it cost as much as others, unless the price says otherwise."""
    usual = given["input"]
    return ModelPrice(usual, given["output"], given.get("cached", usual), given.get("cache_write", usual))


def _add(tx: Transaction, row: ProviderRow) -> None:
    name = row.name
    try:
        tx.add(row)
    except IntegrityError as error:
        raise Conflict(f"There is already a model provider named {name}", field="name") from error


def _locked(tx: Transaction, provider_id: str) -> ProviderRow:
    of_environment = [one for one in settings().models.providers if _environment_id(one) == provider_id]
    if of_environment:
        api = of_environment[0].api
        raise Conflict(
            f"The environment names this provider: change the variables of {api} there and restart, or create a "
            f"provider with the api {api}, which takes its place",
            field="source",
        )
    return tx.lock(ProviderRow, provider_id)


def _environment_id(provider: ProviderSettings) -> str:
    return str(uuid.uuid5(_SPACE, provider.api))


def _view(row: ProviderRow) -> ProviderView:
    return ProviderView(
        row.id, row.name, row.api, row.base_url, row.login, row.key_sealed is not None, list(row.models),
        dict(row.prices), row.is_enabled, "stored", row.fallback, row.fallback_model, row.created_by, row.created_at,
        row.updated_at,
    )  # fmt: skip


def _view_of_environment(one: ProviderSettings, is_used: bool) -> ProviderView:
    return ProviderView(
        _environment_id(one), one.api, one.api, one.base_url, one.login, one.key is not None, [], {}, is_used,
        "environment", fallback_model=one.fallback_model,
    )  # fmt: skip


def _check_name(name: str, api: str) -> None:
    if api not in MODEL_APIS:
        raise Invalid("api", f"Must be one of: {', '.join(MODEL_APIS)}")
    if not re.fullmatch(NAME_PATTERN, name):
        raise Invalid("name", "Must have 1 to 40 lower-case letters, digits and hyphens, and no hyphen at either end")
    if name in MODEL_APIS and name != api:
        raise Invalid("name", f"{name} is the name of another API than this provider's ({api})")


def _check_login(api: str, login: str, *, has_key: bool) -> None:
    if login not in LOGINS:
        raise Invalid("login", f"Must be one of: {', '.join(LOGINS)}")
    if login == "subscription" and api != "anthropic":
        raise Invalid("login", "subscription is for the api anthropic only; use key")
    if login == "none" and has_key:
        raise Invalid("key", "The login none takes no key; use the login key")
    if login != "none" and not has_key:
        what = "an API key" if login == "key" else "the token that `claude setup-token` prints"
        raise Invalid("key", f"Required with the login {login}: {what}")


def _check_base_url(url: str) -> None:
    """Invalid unless it is an http or https address without credentials that is not this platform's own."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_address = False
    if not is_address or re.search(r"[\s\\]|[^\x21-\x7e]", url):
        raise Invalid("baseUrl", "Must be an http or https address, such as https://api.anthropic.com")
    if "@" in parts.netloc:
        raise Invalid("baseUrl", "Must contain no user name or password: put the key into `key`")
    if parts.query or parts.fragment:
        raise Invalid("baseUrl", "Must have no query and no fragment")
    if _is_own(parts):
        raise Invalid("baseUrl", "This is the platform's own address; give that of the model provider")


def _is_own(parts: SplitResult) -> bool:
    web, models = settings().web, settings().models
    own = {_place(urlsplit(url)) for url in (web.public_url, web.internal_url, models.gateway_url)}
    host, port = _place(parts)
    return (host, port) in own or (_is_here(host) and port == web.port)


def _place(parts: SplitResult) -> tuple[str, int]:
    return (parts.hostname or "").rstrip("."), parts.port or (443 if parts.scheme == "https" else 80)


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost") or host == settings().web.host:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
