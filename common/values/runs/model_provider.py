"""Providers of models, what a run needs to call them, and what a call used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MODEL_APIS = ("anthropic", "openai", "gemini")
"""The APIs that the gateway passes on: Anthropic Messages; OpenAI Responses and Chat Completions; Gemini."""

LOGINS = ("key", "subscription", "none")
"""What a provider's key is: an API key, a token of a Claude subscription, or nothing."""


@dataclass(frozen=True)
class ModelPrice:
    """US dollars per million tokens. cached: read from a cache. cache_write: written to it."""

    input: float
    output: float
    cached: float
    cache_write: float


@dataclass(frozen=True)
class ModelProvider:
    """A provider with its key. Never send it anywhere or write it to a log.

    key: None for the login `none`. models: those that may be called; empty: all. prices: by model; they take precedence
    over the price list.
    """

    name: str
    api: str
    base_url: str
    login: str
    key: str | None = field(default=None, repr=False)
    models: tuple[str, ...] = ()
    prices: Mapping[str, ModelPrice] = field(default_factory=dict)


@dataclass(frozen=True)
class Route:
    """A provider that takes a call. model: asked for instead of the one that the call names; None: that one."""

    provider: ModelProvider
    model: str | None = None


@dataclass(frozen=True)
class RunModels:
    """How a run calls models. addresses: API → base URL of the gateway, for each API that has a provider."""

    token: str = field(repr=False)
    addresses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TokenCount:
    """Tokens of one call. input: without those read from a cache or written to it. cache_write_hour: those of
    cache_write that are kept for an hour, which costs more than the usual five minutes.
    """

    input: int = 0
    cached: int = 0
    cache_write: int = 0
    output: int = 0
    cache_write_hour: int = 0

    def __add__(self, other: TokenCount) -> TokenCount:
        return TokenCount(
            self.input + other.input,
            self.cached + other.cached,
            self.cache_write + other.cache_write,
            self.output + other.output,
            self.cache_write_hour + other.cache_write_hour,
        )


@dataclass(frozen=True)
class Sampling:
    """A part of a call that is priced by itself. model: the one that made it; None: that of the call."""

    count: TokenCount
    model: str | None = None


@dataclass(frozen=True)
class PriceTerms:
    """What the price of a call depends on beside its tokens, as the answer names it.

    tier: of service, such as OpenAI's `priority`; speed: such as Anthropic's `fast`; None: not named.
    units: number of what has a price of its own, by the names of the package genai-prices: searches, such as
    `web_searches`, and tokens that the call's tokens contain, such as `output_image_tokens`.
    """

    tier: str | None = None
    speed: str | None = None
    units: Mapping[str, int] = field(default_factory=dict)
