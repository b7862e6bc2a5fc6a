"""Access control of apps: a guarded app answers only browsers that came from AiWorker's page.

The page requests an address with a token that is valid once and for a short time; opening it sets a session cookie for
the app's origin. Cookies are not separated by port: a browser sends the cookies of all apps on this host to each of
them. So each app has its own cookie name, and all these cookies are removed before a request reaches an app's process.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from urllib.parse import SplitResult, parse_qs, urlsplit

from workers.supervisor.traffic.request_heads import Head, Malformed

ENTRY_PATH = "/.aiworker/enter"
COOKIE_PREFIX = "aiworker-preview-"
TOKEN_SECONDS = 60.0
SESSION_SECONDS = 8 * 3600
MOST_KEPT = 1000
"""Limit of tokens, and of sessions, per app; the oldest are dropped first."""

_NO_SESSION = (
    "This preview belongs to a restricted project. Open it from its task in AiWorker. If you came from there just now:"
    " the address works only once, and the browser has to accept a cookie of this site."
)


class Gate:
    """The gate of one app. Tokens and sessions are kept in memory: after a restart people open the page again."""

    def __init__(self, namespace: str, name: str) -> None:
        self.is_shut = False
        """Whether a browser needs a session; if not, only the cookies are removed."""
        self.cookie = COOKIE_PREFIX + hashlib.sha256(f"{namespace}/{name}".encode()).hexdigest()[:16]
        self._tokens: dict[str, float] = {}
        self._sessions: dict[str, float] = {}

    def issue(self) -> str:
        """Create a token; return the path and query that open the app in one browser."""
        return f"{ENTRY_PATH}?token={_add(self._tokens, TOKEN_SECONDS)}"

    def judge(self, head: Head) -> bytes | None:
        """Return the response to a request that is refused or enters the app; None if the request may pass.

        Malformed if an address in it is none.
        """
        if not self.is_shut:
            return None
        target = _parts(head.target)
        if target.path == ENTRY_PATH:
            return self._enter(head, parse_qs(target.query).get("token", [""])[-1])
        # A dictionary lookup is safe from timing attacks here: a session is 256 random bits.
        if not any(self._sessions.get(value, 0) > time.monotonic() for value in head.cookies(self.cookie)):
            return page(401, "Unauthorized", _NO_SESSION)
        if head.is_websocket and not _is_own_origin(head):
            return page(403, "Forbidden", "Only pages of this preview can open its WebSockets.")
        return None

    def _enter(self, head: Head, token: str) -> bytes:
        if self._tokens.pop(token, 0) < time.monotonic():
            return page(401, "Unauthorized", _NO_SESSION)
        session = _add(self._sessions, SESSION_SECONDS)
        is_https = head.value("x-forwarded-proto").split(",")[0].strip().lower() == "https"
        # In a frame of another site, browsers store only the first kind, which needs TLS. On one host Lax is enough.
        where = "SameSite=None; Secure; Partitioned" if is_https else "SameSite=Lax"
        cookie = f"{self.cookie}={session}; Path=/; Max-Age={SESSION_SECONDS}; HttpOnly; {where}"
        return (
            f"HTTP/1.1 303 See Other\r\nLocation: /\r\nSet-Cookie: {cookie}\r\nCache-Control: no-store\r\n"
            "Referrer-Policy: no-referrer\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ).encode("ascii")


def page(status: int, title: str, text: str) -> bytes:
    """Return a complete response with a short page; the connection is closed after it."""
    body = f"<!doctype html><meta charset=utf-8><title>{status}</title><p>{text}</p>\n".encode()
    head = (
        f"HTTP/1.1 {status} {title}\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def _add(kept: dict[str, float], seconds: float) -> str:
    """Store a new secret for so many seconds and return it. Drops expired secrets, and the oldest above MOST_KEPT."""
    now = time.monotonic()
    for old in [each for each, until in kept.items() if until < now]:
        del kept[old]
    while len(kept) >= MOST_KEPT:
        del kept[next(iter(kept))]
    made = secrets.token_urlsafe(32)
    kept[made] = now + seconds
    return made


def _is_own_origin(head: Head) -> bool:
    """Whether the request does not come from another site's page: a browser sends the cookie to every port."""
    origin = head.value("origin")
    hosts = {head.value("host").lower(), head.value("x-forwarded-host").lower()} - {""}
    return not origin or _parts(origin).netloc.lower() in hosts


def _parts(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError as error:
        raise Malformed(f"this is no address: {address[:100]}") from error
