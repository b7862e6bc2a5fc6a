"""Which APIs and models the enabled providers offer, to choose a driver and to check what people name."""

from __future__ import annotations

from common.errors import Invalid
from common.models.spend import ModelProvider
from common.services.spend.model_providers import usable_providers
from common.transaction import Snapshot, Transaction

MOST_LISTED = 50
"""Most models that an error message lists."""


def provider_apis(at: Snapshot | Transaction) -> frozenset[str]:
    """The APIs that at least one enabled provider speaks: `anthropic`, `openai`, `gemini`."""
    return frozenset(provider.api for provider in usable_providers(at))


def offered_models(at: Snapshot | Transaction) -> frozenset[str] | None:
    """The models that can be chosen; None: any, as an enabled provider lists none, or as there is no provider.

    Providers of the environment list none.
    """
    lists = [one.models if isinstance(one, ModelProvider) else [] for one in usable_providers(at)]
    return frozenset().union(*lists) if lists and all(lists) else None


def check_model(at: Snapshot | Transaction, model: str | None) -> None:
    """Invalid (model), with those that there are, if every enabled provider lists its models and none has this one."""
    if model is None:
        return
    known = offered_models(at)
    if known is not None and model not in known:
        raise Invalid("model", f"Must be one of: {', '.join(sorted(known)[:MOST_LISTED])}")
