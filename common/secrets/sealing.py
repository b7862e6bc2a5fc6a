"""Secrets at rest: encrypted (sealed) with a key derived from the instance's secret key, or stored as a hash.

Only this instance can decrypt sealed values (Fernet: AES-128-CBC with HMAC-SHA256). Tokens that only need to be
recognised are stored as SHA-256: they have 256 random bits, so no slow hash is needed.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import hmac
import json
import secrets
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from common.errors import AnotherKey
from common.settings import settings


@functools.lru_cache(maxsize=4)
def _fernet(key: bytes) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(key))


def seal(value: object) -> str:
    """Encrypt any JSON value. Returns text."""
    fernet = _fernet(settings().security.key_for("sealing"))
    return fernet.encrypt(json.dumps(value, separators=(",", ":")).encode()).decode()


def unseal(sealed: str) -> Any:
    """Decrypt a sealed value. Raises AnotherKey if it was sealed with another key than the present or earlier one."""
    for key in settings().security.keys_for("sealing"):
        with contextlib.suppress(InvalidToken):
            return json.loads(_fernet(key).decrypt(sealed.encode()))
    raise AnotherKey


def sealed_anew(sealed: str) -> str | None:
    """The value sealed with the present key; None if it is already. Raises AnotherKey if no known key opens it."""
    present = _fernet(settings().security.key_for("sealing"))
    with contextlib.suppress(InvalidToken):
        present.decrypt(sealed.encode())
        return None
    return seal(unseal(sealed))


def check_key(*sealed: str | None) -> None:
    """Raise AnotherKey unless all of these can be opened. None: there is nothing to open."""
    for value in filter(None, sealed):
        unseal(value)


def new_token(prefix: str) -> str:
    """`<prefix>_` and 43 random characters (256 bits)."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def token_for(prefix: str, secret: str) -> str:
    """A token like those of `new_token`, the same one for the same secret. Nobody else can make it from the secret."""
    made = hmac.new(settings().security.key_for(f"tokens {prefix}"), secret.encode(), hashlib.sha256).digest()
    return f"{prefix}_{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


def digest(token: str) -> str:
    """The SHA-256 by which a token is stored and found: 64 hex digits."""
    return hashlib.sha256(token.encode()).hexdigest()
