"""Verifies the tokens of logins; the web layer issues them (web/http/auth.py)."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass

import jwt

from common.errors import Unauthenticated
from common.settings import SecuritySettings, settings
from common.settings.security import ACCESS_TOKEN_SECONDS

ISSUER = "aiworker"
AUDIENCE = "aiworker-api"
ALGORITHM = "HS256"
LEEWAY_SECONDS = 10
"""How long after its end a token is accepted."""
MOST_AHEAD_SECONDS = 300
"""How far ahead of the clock a token may have been issued: its machine's clock may be ahead, or may have been set back
since. It makes no token valid for longer, and only this platform's key issues tokens."""
LONGEST_TOKEN = 2048


def signing_key() -> str:
    """The key that signs tokens, derived from the secret key for this purpose alone."""
    return _signing_key(settings().security)


@functools.lru_cache(maxsize=8)
def _signing_key(security: SecuritySettings) -> str:
    return security.key_for("jwt").hex()


@dataclass(frozen=True)
class Claims:
    """The claims of a login's token. token_id: its jti. epoch: the user's token_epoch when it was issued.

    ends_at: its `exp`, in seconds since 1970.
    """

    user_id: str
    login_id: str
    token_id: str
    epoch: int
    ends_at: float


def verify(token: str, kind: str) -> Claims:
    """Verify a login's token and return its claims. A token that has expired since it was last verified is refused."""
    claims = _verified(token, kind, signing_key(), _longest_seconds(kind))
    if claims.ends_at <= time.time() - LEEWAY_SECONDS:
        raise Unauthenticated
    return claims


@functools.lru_cache(maxsize=4096)
def _verified(token: str, kind: str, key: str, longest_seconds: int) -> Claims:
    """The claims of a token with a valid signature. The header is not trusted: algorithm and key are fixed.

    Remembered, as all that is checked here stays true but the expiry, which `verify` checks each time. Whether its
    login and its user still count is read from the database with every request. Refusals are not remembered.
    """
    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            # `verify` grants less after the end.
            leeway=MOST_AHEAD_SECONDS,
            options={"require": ["exp", "iat", "nbf", "sub", "jti", "aud", "iss"]},
        )
    except (jwt.PyJWTError, ValueError, UnicodeError, RecursionError) as error:
        raise Unauthenticated from error
    texts = (claims["sub"], claims["jti"], claims.get("sid"))
    if (
        set(header) != {"alg", "typ"}
        or claims.get("type") != kind
        or not all(isinstance(text, str) and len(text) <= 40 for text in texts)
        or type(claims.get("epoch")) is not int
        or claims["exp"] - claims["iat"] > longest_seconds
    ):
        raise Unauthenticated
    return Claims(claims["sub"], claims["sid"], claims["jti"], claims["epoch"], claims["exp"])


def _longest_seconds(kind: str) -> int:
    return ACCESS_TOKEN_SECONDS if kind == "access" else settings().security.refresh_token_seconds
