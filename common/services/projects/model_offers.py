"""Which models the platform's providers offer, and how a run reaches them."""

from __future__ import annotations

from sqlalchemy import select

from common.errors import Invalid
from common.models.spend import ModelProvider
from common.settings import settings
from common.transaction import Snapshot, Transaction
from common.values.claimed_run import ClaimedModels

MOST_LISTED = 50
"""Most models that an error message lists."""


def provider_apis(at: Snapshot | Transaction) -> frozenset[str]:
    """The APIs that at least one enabled provider speaks: `anthropic`, `openai`, `gemini`."""
    return frozenset(at.session.scalars(select(ModelProvider.api).where(ModelProvider.is_enabled.is_(True)).distinct()))


def offered_models(at: Snapshot | Transaction) -> frozenset[str] | None:
    """The models that can be chosen; None: any, as an enabled provider lists none, or as there is no provider."""
    lists = at.session.scalars(select(ModelProvider.models).where(ModelProvider.is_enabled.is_(True))).all()
    return frozenset().union(*lists) if lists and all(lists) else None


def check_model(at: Snapshot | Transaction, model: str | None) -> None:
    """Invalid (model), with those that there are, if every enabled provider lists its models and none has this one."""
    if model is None:
        return
    known = offered_models(at)
    if known is not None and model not in known:
        raise Invalid("model", f"Must be one of: {', '.join(sorted(known)[:MOST_LISTED])}")


def models_for(at: Snapshot | Transaction, token: str | None) -> ClaimedModels | None:
    """How a run with this model token reaches models; None if it has no token, or if there is no provider."""
    apis = provider_apis(at) if token is not None else frozenset()
    if token is None or not apis:
        return None
    return ClaimedModels({api: f"{settings().web.internal_url}/gateway/{api}" for api in sorted(apis)}, token)
