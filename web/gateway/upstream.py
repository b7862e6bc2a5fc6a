"""Opens calls to model providers: one pool of connections per process, without redirects, cookies and netrc."""

from __future__ import annotations

import functools
import hashlib
import http.cookiejar
import os
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from common.machine.lazy_modules import lazy_module
from common.settings import settings
from web.gateway.answers import bodies
from web.gateway.answers.early_end import EndedEarly
from web.gateway.model_apis import credentials, upstream_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests
    import urllib3

    from common.network import request_deadlines, trust
    from common.values.runs.model_provider import ModelProvider
else:
    requests = lazy_module("requests")
    request_deadlines = lazy_module("common.network.request_deadlines")
    trust = lazy_module("common.network.trust")
    urllib3 = lazy_module("urllib3")

CONNECT_SECONDS = 10.0
POOLED = 256
"""Connections to one provider that are kept open for the next call."""

_PASSED = frozenset(
    {"accept", "content-type", "content-encoding", "user-agent", "originator", "session_id", "conversation_id", "x-app"}
)
_PASSED_PREFIXES = ("anthropic-", "openai-", "x-stainless-", "x-goog-api-client", "x-codex-", "x-claude-code-")
_CHOOSE_WHO_PAYS = frozenset({"openai-organization", "openai-project"})
"""Of a key that is good for several organisations or projects."""
_HELD_BACK = frozenset(
    {
        *("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "via"),
        *("proxy-authenticate", "proxy-connection", "www-authenticate", "set-cookie", "alt-svc", "date", "server"),
        *("content-security-policy", "strict-transport-security"),
    }
)
"""Headers of an answer that are about the provider's connection or its site."""

_WITHOUT_CONTENT = frozenset({204, 304})
"""Statuses whose answers have no body (RFC 9112, 6.3)."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[ \t\x21-\x7e\x80-\xff]*")
"""What HTTP allows (RFC 9110, 5.1 and 5.5), and gunicorn sends. Providers, and proxies before them, send more."""


class UpstreamFault(Exception):
    """The provider could not be reached or did not answer. status: the gateway's reply. The message has no secret."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True)
class Request:
    """What is passed on. headers: those of the caller, by lower-case names. query: without the caller's key."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


def open_call(provider: ModelProvider, request: Request, *, silence_seconds: float | None = None) -> requests.Response:
    """Send the request with the provider's key. Returns the answer, with its body unread, once its headers are there.

    silence_seconds: how long the provider may neither take some of the request nor send some of the answer; None:
    SILENCE_SECONDS.
    Raises UpstreamFault if the provider can't be reached, is silent for too long, redirects or answers without content.
    """
    silence_seconds = silence_seconds or bodies.SILENCE_SECONDS
    headers = {name: value for name, value in request.headers.items() if is_passed(name)}
    # An answer that is compressed could not be read for its usage.
    headers |= {"accept-encoding": "identity", "via": own_via()} | credentials(provider, request.headers)
    url = upstream_url(provider, request.path, request.query)
    body = request_deadlines.Body(request.body, silence_seconds) if request.body else None
    try:
        answer = _session().request(
            request.method, url, data=body, headers=headers, stream=True, allow_redirects=False,
            timeout=(CONNECT_SECONDS, silence_seconds), **_proxy_settings(provider.base_url),
        )  # fmt: skip
    except EndedEarly as cut:
        cut.is_sent = body is None or body.is_sent
        raise
    except requests.Timeout as error:
        raise UpstreamFault(504, f"The model provider {provider.name} did not answer in time") from error
    except requests.exceptions.SSLError as error:
        words = trust.describe_tls_failure(error, provider.base_url)
        raise UpstreamFault(502, f"The model provider {provider.name} can't be reached: {words}") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        kind = type(trust.innermost(error)).__name__
        what = f"The model provider {provider.name} can't be reached ({kind}); check its baseUrl"
        raise UpstreamFault(502, what) from error
    if answer.status_code in _WITHOUT_CONTENT:
        answer.close()
        what = f"The model provider {provider.name} answered {answer.status_code}, without content; check its baseUrl"
        raise UpstreamFault(502, what)
    if 300 <= answer.status_code < 400:
        answer.close()
        raise UpstreamFault(
            502, f"The model provider {provider.name} redirects to another address; set its baseUrl to that one"
        )
    return answer


def is_passed(name: str) -> bool:
    """Whether a header of the caller's is passed on: none that carries a credential, chooses who pays or is about a
    connection.
    """
    return name in _PASSED or (name.startswith(_PASSED_PREFIXES) and name not in _CHOOSE_WHO_PAYS)


def headers_for_caller(answer: requests.Response, secret: str | None) -> list[tuple[str, str]]:
    """The headers of the answer that the caller gets. A header that repeats the key, or that HTTP does not allow, is
    left out. Content-Length is the one by which the body is read: there is none for a body in chunks.
    """
    named = {name.strip().lower() for name in answer.headers.get("Connection", "").split(",")}
    kept = [
        (name, value)
        for name, value in answer.headers.items()
        if name.lower() not in _HELD_BACK | named | {"content-length"}
        and not (secret and secret in value)
        and _HEADER_NAME.fullmatch(name)
        and _HEADER_VALUE.fullmatch(value)
    ]
    length = answer.raw.length_remaining if "Content-Length" in answer.headers else None
    return kept if length is None else [*kept, ("Content-Length", str(length))]


def own_via() -> str:
    """The Via header of this instance. A request that arrives with it was sent by the gateway to itself."""
    return f"1.1 aiworker-{hashlib.sha256(settings().security.key_for('gateway')).hexdigest()[:16]}"


class _ProxySettings(TypedDict):
    """The options of a request that depend on the environment: proxies, and the certificates that are trusted."""

    proxies: dict[str, str]
    verify: bool | str


@functools.lru_cache(maxsize=256)
def _proxy_settings(base_url: str) -> _ProxySettings:
    """What HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE and the like say about the address. Read once: it takes as long
    as all else that is done to send a request.
    """
    chosen = requests.Session().merge_environment_settings(base_url, {}, None, None, None)
    return {"proxies": dict(chosen["proxies"]), "verify": chosen["verify"] or True}


_sessions: dict[int, requests.Session] = {}
_making = threading.Lock()


def _session() -> requests.Session:
    """This process's session: connections must not be shared over a fork."""
    pid = os.getpid()
    if pid not in _sessions:
        with _making:
            if pid not in _sessions:
                _sessions[pid] = _made()
    return _sessions[pid]


def _made() -> requests.Session:
    session = requests.Session()
    # No netrc file. What else the environment says is in `_proxy_settings`.
    session.trust_env = False
    session.headers.clear()
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    # No call is sent a second time: it may have cost something. The CLIs try again by themselves.
    adapter = request_deadlines.Adapter(pool_connections=32, pool_maxsize=POOLED, max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session
