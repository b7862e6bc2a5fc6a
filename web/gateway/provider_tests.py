"""POST /api/model-providers/:id/test: one short, real call, as the gateway makes it, so that a person sees it work.

The call is sent with the provider's key by the code that passes on the calls of runs. It is not recorded: it belongs to
no run. Nothing is written, and no transaction is open meanwhile.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from marshmallow import fields

from common.machine.lazy_modules import lazy_module
from common.machine.waiting import Deadline
from common.services.spend import model_providers as services
from common.values.runs.model_provider import ModelProvider
from common.values.states import Role
from web.gateway.model_apis import error_message
from web.gateway.upstream import Request, UpstreamFault, open_call
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, body, reply, stored_afterwards
from web.http.fields import Line, Schema

if TYPE_CHECKING:
    import requests
    import urllib3
else:
    requests = lazy_module("requests")
    urllib3 = lazy_module("urllib3")

log = structlog.get_logger()

provider_tests = Blueprint("provider_tests", __name__, url_prefix="/api")

TEST_SECONDS = 30.0
"""For all calls of a test together."""
SILENCE_SECONDS = 20.0
MOST_ANSWER_BYTES = 2**20
MOST_TOKENS = 16
LONGEST_ERROR = 500

_QUICK = re.compile(r"\b(haiku|mini|nano|flash|small|lite)\b", re.IGNORECASE)
"""Names of models that answer quickly and cost little."""
_NO_CHAT = re.compile(
    r"\b(embed|audio|image|tts|whisper|realtime|transcribe|moderation|dall|live|search|codex|instruct|deep-research|computer)",
    re.IGNORECASE,
)
"""Names of models that answer nothing to words, or by other calls."""


@dataclass(frozen=True)
class _Failed(Exception):
    """Why the provider does not work. reason: for people, without the key."""

    reason: str
    model: str | None = None


class TestModelProviderSchema(Schema):
    """model: the one to ask; by default the first of the provider's `models`, else a small one that it lists."""

    model = Line(100, load_default=None)


class TestedModelProviderSchema(Schema):
    """ok: whether it answered. model: that was asked; null if none was. latencyMs: of that answer. error: why not."""

    ok = fields.Boolean()
    model = fields.String(allow_none=True)
    latency_ms = fields.Integer(allow_none=True)
    error = fields.String(allow_none=True)


@provider_tests.post("/model-providers/<id:provider_id>/test")
@allow(Role.ADMIN)
@stored_afterwards
@body(TestModelProviderSchema)
@reply(TestedModelProviderSchema)
def test_model_provider(provider_id: str, model: str | None) -> object:
    """Ask the provider for a few words, with its key. It may cost as much as these; nothing is stored.

    The reply is 200 also where the provider fails: `ok` and `error` say so. It takes 30 seconds at most.
    """
    caller = current_caller()
    provider = services.open_provider(provider_id, by=caller)
    tried = _Test(provider)
    try:
        asked = model or next(iter(provider.models), None) or tried.listed_model()
        latency_ms = tried.ask(asked)
    except _Failed as failed:
        log.warning("a model provider's test failed", provider=provider.name, reason=failed.reason, by=caller.name)
        return {"ok": False, "model": failed.model, "latency_ms": None, "error": failed.reason}
    log.info("model provider tested", provider=provider.name, model=asked, by=caller.name)
    return {"ok": True, "model": asked, "latency_ms": latency_ms, "error": None}


class _Test:
    """Calls to one provider that end within TEST_SECONDS."""

    def __init__(self, provider: ModelProvider) -> None:
        self._provider = provider
        self._deadline = Deadline(TEST_SECONDS)

    def listed_model(self) -> str:
        """A model that the provider lists, a small one if there is one."""
        path = "v1beta/models" if self._provider.api == "gemini" else "v1/models"
        _elapsed, answer = self._call(Request("GET", path, "", self._headers(), b""), None)
        listed = answer.get("models") or answer.get("data")
        found = listed if isinstance(listed, list) else []
        named = [str(one.get("id") or one.get("name")) for one in found if isinstance(one, dict)]
        names = [name.removeprefix("models/") for name in named if not _NO_CHAT.search(name)]
        if not names:
            raise _Failed("The provider lists no model: name one in `models`")
        return next((name for name in names if _QUICK.search(name)), names[0])

    def ask(self, model: str) -> int:
        """Ask for a few words. Returns the milliseconds to the end of the answer."""
        elapsed, _answer = self._call(_question(self._provider, self._headers(), model), model)
        return elapsed

    def _headers(self) -> dict[str, str]:
        headers = {"content-type": "application/json", "accept": "application/json"}
        return headers | ({"anthropic-version": "2023-06-01"} if self._provider.api == "anthropic" else {})

    def _call(self, request: Request, model: str | None) -> tuple[int, dict[str, object]]:
        left = self._deadline.left_seconds
        if left <= 0:
            raise _Failed(f"It did not answer within {TEST_SECONDS:g} s", model)
        began = time.monotonic()
        try:
            answer = open_call(self._provider, request, silence_seconds=min(SILENCE_SECONDS, left))
            content = self._content(answer)
            elapsed_ms = round((time.monotonic() - began) * 1000)
        except UpstreamFault as fault:
            raise _Failed(fault.message, model) from fault
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _Failed(f"Its answer broke off ({type(error).__name__})", model) from error
        if answer.status_code >= 400:
            said = error_message(content) or "no reason given"
            raise _Failed(f"It answered {answer.status_code}: {said[:LONGEST_ERROR]}", model)
        try:
            read = json.loads(content)
        except (ValueError, RecursionError):
            read = None
        if not isinstance(read, dict):
            raise _Failed("It answered with something else than the API's JSON: check its baseUrl and api", model)
        return elapsed_ms, read

    def _content(self, answer: requests.Response) -> bytes:
        """The body with the key masked. Raises OSError if it takes too long or is too large."""
        content = b""
        with answer:
            for piece in answer.raw.stream(2**14, decode_content=False):
                content += piece
                if self._deadline.is_over or len(content) > MOST_ANSWER_BYTES:
                    raise OSError("too long")
        key = self._provider.key
        return content.replace(key.encode(), b"***") if key else content


def _question(provider: ModelProvider, headers: dict[str, str], model: str) -> Request:
    """The shortest call that the API has. A subscription is for Claude Code alone, so its token only counts tokens."""
    said: dict[str, object] = {"role": "user", "content": "Say OK."}
    if provider.api == "gemini":
        path = f"v1beta/models/{model}:generateContent"
        sent: dict[str, object] = {
            "contents": [{"parts": [{"text": "Say OK."}]}], "generationConfig": {"maxOutputTokens": MOST_TOKENS},
        }  # fmt: skip
    elif provider.api == "openai":
        # Not every server knows the Responses API, and newer models refuse max_tokens.
        path, sent = "v1/chat/completions", {"model": model, "messages": [said]}
    elif provider.login == "subscription":
        path, sent = "v1/messages/count_tokens", {"model": model, "messages": [said]}
    else:
        path, sent = "v1/messages", {"model": model, "max_tokens": MOST_TOKENS, "messages": [said]}
    return Request("POST", path, "", headers, json.dumps(sent).encode())
