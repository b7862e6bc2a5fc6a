"""What a call of a model costs: by the provider's own prices, else by the price list of the package genai-prices.

The price list is a part of the package. Nothing is fetched: only `genai_prices.UpdatePrices` would, and it is not used.
"""

from __future__ import annotations

import contextlib
import importlib

from common.values.model_provider import ModelProvider, TokenCount

_LISTED = {"anthropic": "anthropic", "openai": "openai", "gemini": "google"}


def cost_of(count: TokenCount, provider: ModelProvider, *models: str) -> float | None:
    """US dollars of a call. models: names of its model, the most exact one last. None if none of them has a price.

    A model of a server without a login costs only what its own prices say: the price list is that of the vendors.
    """
    for model in models:
        price = provider.prices.get(model)
        if price is not None:
            return (
                count.input * price.input
                + count.cached * price.cached
                + count.cache_write * price.cache_write
                + count.output * price.output
            ) / 1_000_000
    if provider.login == "none":
        return None
    for model in dict.fromkeys(reversed(models)):
        listed = _listed(count, model, provider)
        if listed is not None:
            return listed
    return None


def _listed(count: TokenCount, model: str, provider: ModelProvider) -> float | None:
    """The price of whoever answers at the provider's address, else that of the vendor whose API it speaks."""
    # Imported at the first price: it is a fifth of what a web process imports, and many processes ask for no price.
    prices = importlib.import_module("genai_prices")
    usage = prices.Usage(
        input_tokens=count.input + count.cached + count.cache_write,
        cache_read_tokens=count.cached or None,
        cache_write_tokens=count.cache_write or None,
        cache_write_1h_tokens=count.cache_write_hour or None,
        output_tokens=count.output,
    )
    # LookupError: the list has no such vendor or model. ValueError: it has no price for one of the kinds of tokens.
    with contextlib.suppress(LookupError, ValueError):
        return float(prices.calc_price(usage, model, provider_api_url=provider.base_url).total_price)
    with contextlib.suppress(LookupError, ValueError):
        return float(prices.calc_price(usage, model, provider_id=_LISTED[provider.api]).total_price)
    return None
