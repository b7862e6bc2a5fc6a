"""Secrets, the lifetime of tokens, and the key that receipts and the audit are signed with.

The signing key is read without a library of cryptography: every process reads the settings, and few sign.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field

from common.errors import Misconfigured
from common.settings.environment import Environment

_PEM = re.compile(r"-----BEGIN PRIVATE KEY-----(.+?)-----END PRIVATE KEY-----", re.DOTALL)
_HEAD = bytes.fromhex("302e020100300506032b657004220420")
"""What precedes the 32 bytes of an Ed25519 key in PKCS 8 (RFC 8410)."""
_SEED_BYTES = 32
ACCESS_TOKEN_SECONDS = 900
"""Lifetime of a login's access token."""


@dataclass(frozen=True)
class SecuritySettings:
    """Secrets, and the lifetime of tokens."""

    secret_key: bytes
    """AIWORKER_SECRET_KEY or SECRET_KEY (32 bytes or more). By default it is generated once and stored in the data
    directory."""
    admin_password: str | None
    """Password of `admin` at the first start (AIWORKER_ADMIN_PASSWORD). None: one is generated and printed once."""
    refresh_token_seconds: int
    """Lifetime of a login, during which it can be refreshed (AIWORKER_REFRESH_TOKEN_SECONDS), 30 days by default."""
    signing_key: bytes | None = field(default=None, repr=False)
    """The 32 bytes of the Ed25519 key that receipts and the audit are signed with (AIWORKER_SIGNING_KEY, a private key
    in PEM). None: it is derived from the secret key, so every process has the same one."""
    earlier_key: bytes | None = field(default=None, repr=False)
    """The secret key of before, which opens what is not sealed anew yet (AIWORKER_EARLIER_SECRET_KEY, or kept in the
    data directory). None: no change of the key is under way."""

    @property
    def signing_seed(self) -> bytes:
        """The 32 bytes of the key that signs."""
        return self.signing_key or self.key_for("signing")

    def key_for(self, purpose: str) -> bytes:
        """32 bytes derived from the secret key for one purpose, so that no two purposes share a key."""
        return _derived(self.secret_key, purpose)

    def keys_for(self, purpose: str) -> tuple[bytes, ...]:
        """The key for a purpose, and the one that it was before a change of the secret key that is under way."""
        return tuple(_derived(key, purpose) for key in (self.secret_key, self.earlier_key) if key is not None)


def _derived(key: bytes, purpose: str) -> bytes:
    return hmac.new(key, purpose.encode(), hashlib.sha256).digest()


def signing_key_of(env: Environment) -> bytes | None:
    """The key that AIWORKER_SIGNING_KEY gives; None if it gives none. Raises Misconfigured for one of another kind."""
    pem = env.text("AIWORKER_SIGNING_KEY")
    return None if pem is None else _seed_of(pem)


def _seed_of(pem: str) -> bytes:
    found = _PEM.search(pem)
    try:
        content = base64.b64decode("".join(found[1].split()), validate=True) if found else b""
    except binascii.Error:
        content = b""
    if len(content) != len(_HEAD) + _SEED_BYTES or not content.startswith(_HEAD):
        raise Misconfigured(
            "AIWORKER_SIGNING_KEY is no Ed25519 private key in PEM; make one with: openssl genpkey -algorithm ed25519"
        )
    return content[len(_HEAD) :]
