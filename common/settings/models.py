"""Settings of the model gateway, and the model providers that the environment names with the customary variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from common.errors import Misconfigured
from common.settings.environment import Environment, web_address

APIS = ("anthropic", "openai", "gemini")


@dataclass(frozen=True)
class ProviderSettings:
    """A provider that the environment names. login: `key`, `subscription` or `none`. key: None with `none`.

    fallback_model: asked for while the provider limits the calls of another model (AIWORKER_FALLBACKS,
    `anthropic=MODEL,openai=MODEL,gemini=MODEL`); None: none is. It is a model and not a provider, as the environment
    names one provider of an API at most.
    """

    api: str
    base_url: str
    login: str
    key: str | None = field(default=None, repr=False)
    fallback_model: str | None = None


@dataclass(frozen=True)
class ModelSettings:
    """How agents reach models."""

    gateway_url: str
    """Base URL of the gateway for agents (AIWORKER_GATEWAY_URL). AIWORKER_INTERNAL_URL by default: `web` serves it."""
    providers: tuple[ProviderSettings, ...] = ()
    """Those of the environment, at most one for each API."""
    parks_on_limits: bool = True
    """Whether a task waits for the end of a provider's limit, and goes on by itself (AIWORKER_PARK_ON_LIMITS), yes by
    default. Else the provider's refusal is passed on, and the run ends as its CLI decides."""


def read_models(env: Environment, *, internal_url: str) -> ModelSettings:
    gateway_url = env.string("AIWORKER_GATEWAY_URL", default=internal_url).rstrip("/")
    if gateway_url != internal_url:
        _check_address("AIWORKER_GATEWAY_URL", gateway_url)
    fallbacks = env.pairs("AIWORKER_FALLBACKS", of=APIS, such_as="anthropic=claude-haiku-4-5")
    found = (_anthropic(env, fallbacks), _openai(env, fallbacks), _gemini(env, fallbacks))
    return ModelSettings(
        gateway_url=gateway_url,
        parks_on_limits=env.flag("AIWORKER_PARK_ON_LIMITS", default=True),
        providers=tuple(provider for provider in found if provider is not None),
    )


def _anthropic(env: Environment, fallbacks: Mapping[str, str]) -> ProviderSettings | None:
    """An API key takes precedence over the token of a subscription."""
    base_url = env.text("ANTHROPIC_BASE_URL")
    key = env.text("ANTHROPIC_API_KEY")
    token = env.text("CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN")
    login = "key" if key else "subscription"
    default, fallback = "https://api.anthropic.com", fallbacks.get("anthropic")
    return _provider("anthropic", "ANTHROPIC_BASE_URL", base_url, default, login, key or token, fallback)


def _openai(env: Environment, fallbacks: Mapping[str, str]) -> ProviderSettings | None:
    base_url, key = env.text("OPENAI_BASE_URL"), env.text("OPENAI_API_KEY")
    default, fallback = "https://api.openai.com/v1", fallbacks.get("openai")
    return _provider("openai", "OPENAI_BASE_URL", base_url, default, "key", key, fallback)


def _gemini(env: Environment, fallbacks: Mapping[str, str]) -> ProviderSettings | None:
    base_url = env.text("GOOGLE_GEMINI_BASE_URL", "GEMINI_BASE_URL")
    key = env.text("GEMINI_API_KEY", "GOOGLE_API_KEY")
    default, fallback = "https://generativelanguage.googleapis.com", fallbacks.get("gemini")
    return _provider("gemini", "GOOGLE_GEMINI_BASE_URL", base_url, default, "key", key, fallback)


def _provider(
    api: str,
    variable: str,
    base_url: str | None,
    default: str,
    login: str,
    key: str | None,
    fallback_model: str | None,
) -> ProviderSettings | None:
    """None if the environment has neither a key nor an address. An address alone is a server that needs no key."""
    if base_url is None and key is None:
        return None
    if base_url is not None:
        _check_address(variable, base_url)
    return ProviderSettings(api, (base_url or default).rstrip("/"), login if key else "none", key, fallback_model)


def _check_address(variable: str, url: str) -> None:
    parts = web_address(url)
    if parts is None or "@" in parts.netloc or parts.query or parts.fragment:
        raise Misconfigured(f"{variable} must be an http or https address without a user name, password or query")
