"""What differs between the APIs of models: paths, where keys are put, and the form of errors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from common.values.runs.model_provider import ModelProvider

Format = Literal["anthropic", "responses", "chat", "gemini"]
"""The format of an answer, and of the usage in it."""

OAUTH_BETA = "oauth-2025-04-20"
"""The beta feature that api.anthropic.com requires with the token of a subscription."""
_SUBSCRIPTION_PREFIX = "sk-ant-oat"

_GEMINI_MODEL = r"v1beta/models/(?P<model>[A-Za-z0-9._-]{1,100})"


@dataclass(frozen=True)
class Endpoint:
    """A path that the gateway passes on. format: None if a call uses no tokens that cost anything."""

    method: str
    path: re.Pattern[str]
    shown: str
    format: Format | None


def _endpoint(method: str, path: str, format_: Format | None, shown: str | None = None) -> Endpoint:
    return Endpoint(method, re.compile(path), f"{method} {shown or path}", format_)


ENDPOINTS: dict[str, tuple[Endpoint, ...]] = {
    "anthropic": (
        _endpoint("POST", "v1/messages", "anthropic"),
        _endpoint("POST", "v1/messages/count_tokens", None),
        _endpoint("GET", "v1/models", None),
        _endpoint("GET", r"v1/models/[A-Za-z0-9._:-]{1,100}", None, "v1/models/<model>"),
    ),
    "openai": (
        _endpoint("POST", "v1/responses", "responses"),
        _endpoint("POST", "v1/chat/completions", "chat"),
        _endpoint("GET", "v1/models", None),
        _endpoint("GET", r"v1/models/[A-Za-z0-9._:/-]{1,100}", None, "v1/models/<model>"),
    ),
    "gemini": (
        _endpoint("POST", f"{_GEMINI_MODEL}:generateContent", "gemini", "v1beta/models/<model>:generateContent"),
        _endpoint(
            "POST", f"{_GEMINI_MODEL}:streamGenerateContent", "gemini", "v1beta/models/<model>:streamGenerateContent"
        ),
        _endpoint("POST", f"{_GEMINI_MODEL}:countTokens", None, "v1beta/models/<model>:countTokens"),
        _endpoint("GET", "v1beta/models", None),
        _endpoint("GET", _GEMINI_MODEL, None, "v1beta/models/<model>"),
    ),
}


def find_endpoint(api: str, method: str, path: str) -> Endpoint | None:
    """None for a path that the gateway does not pass on."""
    if ".." in path or "//" in path:
        return None
    return next((one for one in ENDPOINTS[api] if one.method == method and one.path.fullmatch(path)), None)


def api_of_path(path: str) -> str:
    """The API to which a path most likely belongs, for errors before the provider is known."""
    if path.startswith("v1beta/"):
        return "gemini"
    return "anthropic" if path.startswith("v1/messages") else "openai"


def model_in_path(path: str) -> str | None:
    found = re.match(_GEMINI_MODEL, path)
    return found["model"] if found else None


def path_with_model(path: str, model: str) -> str:
    """A path that names a model, with another one."""
    return re.sub(_GEMINI_MODEL, lambda _found: f"v1beta/models/{model}", path, count=1)


def upstream_url(provider: ModelProvider, path: str, query: str) -> str:
    """The provider's URL of a path. An OpenAI base URL contains the version, as is customary; one without a path gets
    `v1`. Those of the others contain none; if they do, it is not repeated.
    """
    base = provider.base_url.rstrip("/")
    version, _slash, rest = path.partition("/")
    has_version = base.endswith(f"/{version}")
    if provider.api == "openai":
        has_version = urlsplit(base).path not in {"", "/"}
    return f"{base}/{rest if has_version else path}" + (f"?{query}" if query else "")


def credentials(provider: ModelProvider, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that carry the provider's key. headers: those of the request, by lower-case names."""
    key = provider.key
    if key is None:
        return {}
    if provider.login == "subscription":
        return {"authorization": f"Bearer {key}"} | _beta(provider, key, headers.get("anthropic-beta", ""))
    name, value = {
        "anthropic": ("x-api-key", key),
        "openai": ("authorization", f"Bearer {key}"),
        "gemini": ("x-goog-api-key", key),
    }[provider.api]
    return {name: value}


def _beta(provider: ModelProvider, key: str, asked: str) -> dict[str, str]:
    """A bearer token of another server than Anthropic's, such as of a proxy, needs no beta feature."""
    host = urlsplit(provider.base_url).hostname or ""
    if not key.startswith(_SUBSCRIPTION_PREFIX) and not host.endswith("anthropic.com"):
        return {}
    named = [name.strip() for name in asked.split(",") if name.strip()]
    return {"anthropic-beta": ",".join([*named, *([] if OAUTH_BETA in named else [OAUTH_BETA])])}


_ANTHROPIC_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
    413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error",
}  # fmt: skip
_GEMINI_STATUSES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    413: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 502: "UNAVAILABLE", 503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}  # fmt: skip


def error_body(api: str, status: int, message: str) -> bytes:
    """An error as the provider would write it, so that a CLI shows its message."""
    body: dict[str, object]
    if api == "anthropic":
        kind = _ANTHROPIC_TYPES.get(status, "api_error")
        body = {"type": "error", "error": {"type": kind, "message": message}}
    elif api == "gemini":
        state = _GEMINI_STATUSES.get(status, "INTERNAL")
        body = {"error": {"code": status, "message": message, "status": state}}
    else:
        kind = "invalid_request_error" if status < 500 else "server_error"
        code = "invalid_api_key" if status == 401 else None
        body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return json.dumps(body, ensure_ascii=False).encode()


def error_message(body: bytes) -> str | None:
    """The message in an error of any of the APIs; None if there is none."""
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(read, list) and read:
        read = read[0]
    return message_of(read.get("error")) if isinstance(read, dict) else None


def message_of(error: object) -> str | None:
    """The message of an error that was read; None if it has none. Half of a surrogate pair, as JavaScript writes a
    character at which it cut a text, becomes a question mark: no database stores it.
    """
    message = error.get("message") if isinstance(error, dict) else error
    return message.encode(errors="replace").decode() if isinstance(message, str) else None
