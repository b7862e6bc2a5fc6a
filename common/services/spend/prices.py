"""What a call of a model costs: by the provider's own prices, else by the price list of the package genai-prices.

The price list is a part of the package. Nothing is fetched: only `genai_prices.UpdatePrices` would, and it is not used.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from common.values.runs.model_provider import ModelProvider, PriceTerms, Sampling, TokenCount

_LISTED = {"anthropic": "anthropic", "openai": "openai", "gemini": "google"}


def cost_of(
    samplings: Sequence[Sampling], provider: ModelProvider, *models: str, terms: PriceTerms | None = None
) -> float | None:
    """US dollars of a call. models: names of its model, the most exact one last. None if none of them has a price.

    samplings: each is priced by itself: another model may have made it, and long contexts are dearer.
    terms.units are those of the first; terms: None if the answer names none.
    A model of a server without a login costs only what its own prices say: the price list is that of the vendors.
    Own prices are those of tokens alone: they ignore the terms.
    """
    terms, total = terms or PriceTerms(), 0.0
    for one in samplings:
        named = models if one.model is None else (*models, one.model)
        cost = _cost(one.count, provider, dict.fromkeys(reversed(named)), terms)
        if cost is None:
            return None
        total += cost
        terms = replace(terms, units={})
    return total


def _cost(count: TokenCount, provider: ModelProvider, models: Iterable[str], terms: PriceTerms) -> float | None:
    """models: the most exact name first."""
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
    for model in models:
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
