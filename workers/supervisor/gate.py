"""Who is let into an app: a guarded one answers only browsers that were sent to it by AiWorker's page.

The page asks for an address with a token that is good once and for a short time; whoever opens it gets a cookie of the
app's own origin. Cookies do not separate ports: every app of this host gets every app's cookie from a browser, so each
has a name of its own, and they are all taken out of a request before any app's process sees it.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from urllib.parse import parse_qs, urlsplit

from workers.supervisor.heads import Head

ENTRY_PATH = "/.aiworker/enter"
COOKIE_PREFIX = "aiworker-preview-"
TOKEN_SECONDS = 60.0
SESSION_SECONDS = 8 * 3600
MOST_KEPT = 1000
"""Tokens, and sessions, of one app; the oldest go first."""

_SHUT = (
    "This preview belongs to a restricted project. Open it from its task in AiWorker. If you came from there just now:"
    " the address is good only once, and the browser has to accept a cookie of this site."
)


class Gate:
    """The gate of one app. Tokens and sessions are in memory: after a restart people come by the page again."""

    def __init__(self, namespace: str, name: str) -> None:
        self.is_shut = False
        """Whether a browser needs a session; if not, only the cookies are taken out."""
        self.cookie = COOKIE_PREFIX + hashlib.sha256(f"{namespace}/{name}".encode()).hexdigest()[:16]
        self._tokens: dict[str, float] = {}
        self._sessions: dict[str, float] = {}

    def issue(self) -> str:
        """The path and query that let one browser in."""
        return f"{ENTRY_PATH}?token={_add(self._tokens, TOKEN_SECONDS)}"

    def judge(self, head: Head) -> bytes | None:
        """The answer to a request that is not passed on; None for one that is."""
        if not self.is_shut:
            return None
        target = urlsplit(head.target)
        if target.path == ENTRY_PATH:
            return self._enter(head, parse_qs(target.query).get("token", [""])[-1])
        # Compared by a dictionary: a session is 256 bits at random, of which nothing can be learned step by step.
        if not any(self._sessions.get(value, 0) > time.monotonic() for value in head.cookies(self.cookie)):
            return page(401, "Unauthorized", _SHUT)
        if head.is_websocket and not _is_own_origin(head):
            return page(403, "Forbidden", "A WebSocket of this preview can be opened by its own pages only.")
        return None

    def _enter(self, head: Head, token: str) -> bytes:
        if self._tokens.pop(token, 0) < time.monotonic():
            return page(401, "Unauthorized", _SHUT)
        session = _add(self._sessions, SESSION_SECONDS)
        is_https = head.value("x-forwarded-proto").split(",")[0].strip().lower() == "https"
        # In a frame of another site only the first is kept, and that needs TLS; a page on the same host needs neither.
        where = "SameSite=None; Secure; Partitioned" if is_https else "SameSite=Lax"
        cookie = f"{self.cookie}={session}; Path=/; Max-Age={SESSION_SECONDS}; HttpOnly; {where}"
        return (
            f"HTTP/1.1 303 See Other\r\nLocation: /\r\nSet-Cookie: {cookie}\r\nCache-Control: no-store\r\n"
            "Referrer-Policy: no-referrer\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ).encode("ascii")


def page(status: int, title: str, text: str) -> bytes:
    """A whole answer with a page that says one sentence, after which the connection is closed."""
    body = f"<!doctype html><meta charset=utf-8><title>{status}</title><p>{text}</p>\n".encode()
    head = (
        f"HTTP/1.1 {status} {title}\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def _add(kept: dict[str, float], seconds: float) -> str:
    """Keep a new secret for so long; what is over goes."""
    now = time.monotonic()
    for old in [each for each, until in kept.items() if until < now]:
        del kept[old]
    while len(kept) >= MOST_KEPT:
        del kept[next(iter(kept))]
    made = secrets.token_urlsafe(32)
    kept[made] = now + seconds
    return made


def _is_own_origin(head: Head) -> bool:
    """Whether no other site's page opens it: a browser sends the cookie to every port of this host."""
    origin = head.value("origin")
    hosts = {head.value("host").lower(), head.value("x-forwarded-host").lower()} - {""}
    return not origin or urlsplit(origin).netloc.lower() in hosts
