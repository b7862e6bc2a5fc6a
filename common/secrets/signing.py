"""Signs statements with this platform's key, which every process has from the settings.

The key is AIWORKER_SIGNING_KEY, or else derived from the secret key. So no process has to create it, several machines
have the same one, and a backup has it with the secret key.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from types import ModuleType

from common.settings import settings


def sign(statement: Mapping[str, object]) -> str:
    """The signed envelope of an in-toto statement, as one line of JSON. See common/secrets/envelopes.py."""
    signed: str = _envelopes().sign(statement, settings().security.signing_seed)
    return signed


def public_key() -> str:
    """The public key as a PEM text: who has it can check what this platform has signed."""
    pem: str = _envelopes().public_key(settings().security.signing_seed)
    return pem


def key_id() -> str:
    """The id by which envelopes name the key: 64 hex digits."""
    found: str = _envelopes().key_id(public_key())
    return found


def digest_of(text: str) -> str:
    """SHA-256 of a text in UTF-8, 64 hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _envelopes() -> ModuleType:
    # Most processes never sign, and the library takes 5 MB (docs/decisions/0006).
    return importlib.import_module("common.secrets.envelopes")
