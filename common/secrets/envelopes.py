"""Signed statements: a DSSE envelope around an in-toto statement, signed with Ed25519.

Needs no settings and no database, so that anybody can check a statement with the public key alone. An envelope has one
form: every other way to write the same JSON or Base64 is refused, so no byte of it can be changed.

Loading this module takes 0.2 s and 5 MB, so who signs rarely loads it late (common/secrets/signing.py).
"""

from __future__ import annotations

import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner
from securesystemslib.signer import SSlibKey as PublicKey

from common.secrets.statement_types import STATEMENT_TYPE

__all__ = [
    "NotVerified",
    "PublicKey",
    "Statement",
    "digest_of",
    "key_id",
    "open_envelope",
    "public_key",
    "read_keys",
    "sign",
]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MOST_BYTES = 32 * 2**20
"""Of an envelope that is read."""

_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)

Statement = dict[str, object]


class NotVerified(Exception):
    """The envelope is not what the holder of the key has signed. The message says why."""


def sign(statement: Mapping[str, object], seed: bytes) -> str:
    """The signed envelope, as one line of JSON. seed: the 32 bytes of the private key. Signs the same, the same way."""
    envelope = Envelope(_written(statement).encode(), PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner(Ed25519PrivateKey.from_private_bytes(seed)))
    return _written(envelope.to_dict())


def open_envelope(text: str, keys: Sequence[PublicKey]) -> Statement:
    """The statement in the envelope, if one of the keys has signed it. Raises NotVerified."""
    envelope = _read(text)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise NotVerified("it holds no in-toto statement")
    signers = list(envelope.signatures)
    if len(signers) != 1 or signers[0] not in {key.keyid for key in keys}:
        named = ", ".join(signer[:16] for signer in signers) or "nobody"
        raise NotVerified(f"it is signed by another key ({named}); if the key was changed, give the earlier one, too")
    try:
        envelope.verify(list(keys), 1)
    except VerificationError as error:
        raise NotVerified("its signature does not fit its content") from error
    return _statement(envelope.payload)


def digest_of(text: str) -> str:
    """SHA-256 of an envelope, 64 hex digits: how the next one in the chain names it."""
    return hashlib.sha256(text.encode()).hexdigest()


def public_key(seed: bytes) -> str:
    """The public key as a PEM text, to be given away."""
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def read_keys(pem: str) -> list[PublicKey]:
    """The Ed25519 public keys in a text of one or more PEM blocks. Raises NotVerified if there is none."""
    found = []
    for block in _PEM.findall(pem):
        try:
            key = load_pem_public_key(block.encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise NotVerified("the public key can't be read: it is damaged") from error
        if not isinstance(key, Ed25519PublicKey):
            raise NotVerified("the public key is no Ed25519 key")
        found.append(PublicKey.from_crypto(key))
    if not found:
        raise NotVerified("there is no public key: it begins with -----BEGIN PUBLIC KEY-----")
    return found


def key_id(pem: str) -> str:
    """The id by which envelopes name the first key: 64 hex digits."""
    return read_keys(pem)[0].keyid


def _read(text: str) -> Envelope:
    if len(text) > MOST_BYTES:
        raise NotVerified(f"it is larger than {MOST_BYTES} bytes")
    try:
        envelope = Envelope.from_dict(json.loads(text))
        same = _written(envelope.to_dict())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error) as error:
        raise NotVerified("it is no signed envelope") from error
    if same != text:
        raise NotVerified("it was written in another way than it was signed")
    return envelope


def _statement(payload: bytes) -> Statement:
    try:
        statement = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise NotVerified("its content is no JSON") from error
    if not isinstance(statement, dict) or statement.get("_type") != STATEMENT_TYPE:
        raise NotVerified("it holds no in-toto statement")
    return statement


def _written(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False)
