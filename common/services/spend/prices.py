"""What a call of a model costs: by the provider's own prices, else by the price list of the package genai-prices.

The price list is a part of the package. Nothing is fetched: only `genai_prices.UpdatePrices` would, and it is not used.
"""

from __future__ import annotations

import contextlib
import importlib

from common.values.model_provider import ModelProvider, PriceTerms, TokenCount

_LISTED = {"anthropic": "anthropic", "openai": "openai", "gemini": "google"}
_STANDARD = PriceTerms()


def cost_of(count: TokenCount, provider: ModelProvider, *models: str, terms: PriceTerms = _STANDARD) -> float | None:
    """US dollars of a call. models: names of its model, the most exact one last. None if none of them has a price.

    A model of a server without a login costs only what its own prices say: the price list is that of the vendors.
    Own prices are those of tokens alone: they ignore the terms.
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
        listed = _listed(count, model, provider, terms)
        if listed is not None:
            return listed
    return None


def _listed(count: TokenCount, model: str, provider: ModelProvider, terms: PriceTerms) -> float | None:
    """The price of whoever answers at the provider's address, else that of the vendor whose API it speaks."""
    # Imported at the first price: it is a fifth of what a web process imports, and many processes ask for no price.
    prices = importlib.import_module("genai_prices")
    tokens = {
        "input_tokens": count.input + count.cached + count.cache_write,
        "cache_read_tokens": count.cached or None,
        "cache_write_tokens": count.cache_write or None,
        "cache_write_1h_tokens": count.cache_write_hour or None,
        "output_tokens": count.output,
    }
    named = {"service_tier": terms.tier, "speed": terms.speed}
    context = {name: value for name, value in named.items() if value is not None} or None
    places = ({"provider_api_url": provider.base_url}, {"provider_id": _LISTED[provider.api]})
    searches = {name: number for name, number in terms.units.items() if name.endswith("_searches")}
    # The list refuses numbers of tokens that contradict each other. Then all tokens are priced as text.
    for usage in ({**tokens, **terms.units}, {**tokens, **searches}):
        for place in places:
            # LookupError: the list has no such vendor or model. ValueError: it has no price for one of the units.
            with contextlib.suppress(LookupError, ValueError):
                found = prices.calc_price(prices.Usage(**usage), model, price_context=context, **place)
                return float(found.total_price)
    return None
