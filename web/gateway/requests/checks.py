"""Refuses or takes out of requests what would make a call cost something that the gateway does not count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from common.machine.lazy_modules import lazy_module
from common.values.runs.model_provider import ModelProvider
from web.gateway.refusal import Refused

if TYPE_CHECKING:
    from web.gateway.requests import request_body
else:
    request_body = lazy_module("web.gateway.requests.request_body")

_QUERY_OF_GEMINI = frozenset({"alt", "prettyPrint", "pageSize", "pageToken"})


def require_whole_context(body: bytes) -> None:
    """Raise Refused if a request of OpenAI's Responses goes on with a context that the provider keeps.

    For runs with a cap: if such a call is cut off, the request says nothing of how much its input costs.
    """
    field = request_body.kept_context_of(body)
    if field is not None:
        raise Refused(400, f"A run with a cap can't use `{field}`: send the whole context in `input`")


def require_readable(headers: Mapping[str, str]) -> None:
    """Raise Refused if a request is compressed. headers: the request's, by lower-case names.

    For runs with a cap: if such a call is cut off, or its answer names no usage, the size of the request says little of
    how much its input costs.
    """
    encoding = headers.get("content-encoding", "identity")
    if encoding.strip().lower() not in {"", "identity"}:
        raise Refused(400, "A run with a cap can't send compressed requests: leave out `Content-Encoding`")


def require_others_offered(provider: ModelProvider, body: bytes) -> None:
    """Raise Refused if a request lets its provider take another model that it does not offer, such as OpenRouter's
    `models`, or an advisor. For providers that offer only some models.
    """
    for name in request_body.other_models_of(body):
        if name not in provider.models:
            other, offered = name or "a model that it does not name", ", ".join(provider.models)
            raise Refused(
                404, f"The request lets {provider.name} take another model instead, {other}; it offers: {offered}"
            )


def passed_query(api: str, query: str) -> str:
    """The query without the caller's key and, for Gemini, without what could leave the usage out of the answer.

    Such as `fields`, or an `alt` other than JSON. Parameters of Google's that choose who pays are left out too.
    """
    return "&".join(part for part in query.split("&") if part and _is_passed(api, *map(unquote_plus, _pair(part))))


def _pair(part: str) -> tuple[str, str]:
    name, _equals, value = part.partition("=")
    return name, value


def _is_passed(api: str, name: str, value: str) -> bool:
    if api != "gemini":
        return name != "key"
    return name in _QUERY_OF_GEMINI and (name != "alt" or value in {"sse", "json"})
