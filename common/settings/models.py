"""Settings of the model gateway, and the model providers that the environment names with the customary variables."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from common.errors import Misconfigured
from common.settings.environment import Environment


@dataclass(frozen=True)
class ProviderSettings:
    """A provider that the environment names. login: `key`, `subscription` or `none`. key: None with `none`."""

    api: str
    base_url: str
    login: str
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ModelSettings:
    """How agents reach models."""

    gateway_url: str
    """Base URL of the gateway for agents (AIWORKER_GATEWAY_URL). AIWORKER_INTERNAL_URL by default: `web` serves it."""
    silence_seconds: int = 600
    """How long a provider may send nothing before a call is ended (AIWORKER_GATEWAY_SILENCE_SECONDS), 600 by default:
    a model may think for minutes before its first token."""
    providers: tuple[ProviderSettings, ...] = ()
    """Those of the environment, at most one for each API."""


def read_models(env: Environment, *, internal_url: str) -> ModelSettings:
    gateway_url = env.string("AIWORKER_GATEWAY_URL", default=internal_url).rstrip("/")
    if gateway_url != internal_url:
        _check_address("AIWORKER_GATEWAY_URL", gateway_url)
    found = (_anthropic(env), _openai(env), _gemini(env))
    return ModelSettings(
        gateway_url=gateway_url,
        silence_seconds=env.number("AIWORKER_GATEWAY_SILENCE_SECONDS", default=600, least=1, most=86400),
        providers=tuple(provider for provider in found if provider is not None),
    )


def _anthropic(env: Environment) -> ProviderSettings | None:
    """An API key takes precedence over the token of a subscription."""
    base_url = env.text("ANTHROPIC_BASE_URL")
    key = env.text("ANTHROPIC_API_KEY")
    token = env.text("CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN")
    login = "key" if key else "subscription"
    return _provider("anthropic", "ANTHROPIC_BASE_URL", base_url, "https://api.anthropic.com", login, key or token)


def _openai(env: Environment) -> ProviderSettings | None:
    base_url, key = env.text("OPENAI_BASE_URL"), env.text("OPENAI_API_KEY")
    return _provider("openai", "OPENAI_BASE_URL", base_url, "https://api.openai.com/v1", "key", key)


def _gemini(env: Environment) -> ProviderSettings | None:
    base_url = env.text("GOOGLE_GEMINI_BASE_URL", "GEMINI_BASE_URL")
    key = env.text("GEMINI_API_KEY", "GOOGLE_API_KEY")
    default = "https://generativelanguage.googleapis.com"
    return _provider("gemini", "GOOGLE_GEMINI_BASE_URL", base_url, default, "key", key)


def _provider(
    api: str, variable: str, base_url: str | None, default: str, login: str, key: str | None
) -> ProviderSettings | None:
    """None if the environment has neither a key nor an address. An address alone is a server that needs no key."""
    if base_url is None and key is None:
        return None
    if base_url is not None:
        _check_address(variable, base_url)
    return ProviderSettings(api, (base_url or default).rstrip("/"), login if key else "none", key)


def _check_address(variable: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_address = False
    if not is_address or "@" in parts.netloc or parts.query or parts.fragment:
        raise Misconfigured(f"{variable} must be an http or https address without a user name, password or query")
