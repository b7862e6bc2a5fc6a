"""What a provider's fallback may be: a stored provider of the same API, another model, or both; never in a circle."""

from __future__ import annotations

from sqlalchemy import select, update

from common.errors import Conflict, Invalid
from common.models.spend import ModelProvider
from common.transaction import Transaction

MOST = 5
"""Most providers that calls pass to one after the other."""


def check(tx: Transaction, row: ModelProvider) -> None:
    """Invalid (fallback, fallbackModel) unless the row's fallback can take its calls.

    It need not be enabled: while it is not, calls do not pass to it.
    """
    target = row if row.fallback is None else _named(tx, row)
    offered = target.models
    if row.fallback_model is not None and offered and row.fallback_model not in offered:
        raise Invalid("fallbackModel", f"The provider {target.name} offers only: {', '.join(offered)}")


def _named(tx: Transaction, row: ModelProvider) -> ModelProvider:
    """The provider that the row names, which is of its API, and whose own fallbacks do not lead back to the row."""
    if row.fallback == row.name:
        raise Invalid("fallback", "Must be another provider; for another model of the same, set fallbackModel alone")
    with tx.session.no_autoflush:
        query = select(ModelProvider).where(ModelProvider.api == row.api, ModelProvider.id != row.id)
        others = {one.name: one for one in tx.all(query)}
    if row.fallback not in others:
        known = ", ".join(sorted(others)) or "none yet"
        raise Invalid("fallback", f"Must be a stored provider of the api {row.api}; there are: {known}")
    chain = [row.name]
    following: str | None = row.fallback
    while following is not None and following in others:
        if following in chain or len(chain) == MOST:
            raise Invalid("fallback", f"Leads too far or in a circle: {' → '.join([*chain, following])}")
        chain.append(following)
        following = others[following].fallback
    if following == row.name:
        raise Invalid("fallback", f"Leads in a circle: {' → '.join([*chain, following])}")
    return others[str(row.fallback)]


def require_unnamed(tx: Transaction, name: str) -> None:
    """Conflict (api) if another provider has this one as its fallback."""
    with tx.session.no_autoflush:
        others = tx.session.scalars(select(ModelProvider.name).where(ModelProvider.fallback == name)).all()
    if others:
        raise Conflict(f"{', '.join(others)} names it as its fallback; change that first", field="api")


def rename(tx: Transaction, former: str, name: str | None) -> None:
    """The providers that had the former name as their fallback have this one. None: they have no fallback."""
    named = update(ModelProvider).where(ModelProvider.fallback == former)
    values = {"fallback": name} if name is not None else {"fallback": None, "fallback_model": None}
    tx.session.execute(named.values(**values).execution_options(synchronize_session=False))
