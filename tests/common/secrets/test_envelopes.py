"""Signed envelopes: what was signed can be read with the public key alone, and not one bit of it can be changed."""

from __future__ import annotations

import json
import subprocess

import pytest

from common.errors import Misconfigured
from common.secrets.envelopes import NotVerified, open_envelope, public_key, read_keys, sign
from common.secrets.statement_types import STATEMENT_TYPE
from common.settings.environment import Environment
from common.settings.security import signing_key_of

SEED, OTHER_SEED = b"s" * 32, b"o" * 32
KEYS = read_keys(public_key(SEED))
STATEMENT = {"_type": STATEMENT_TYPE, "title": "Häuser \ud800", "cost": 0.25}


def test_what_was_signed_is_read_with_the_public_key() -> None:
    assert open_envelope(sign(STATEMENT, SEED), KEYS) == STATEMENT


def test_no_bit_can_be_changed() -> None:
    signed = sign(STATEMENT, SEED).encode()

    for place in range(len(signed)):
        for bit in range(8):
            changed = bytearray(signed)
            changed[place] ^= 1 << bit
            with pytest.raises(NotVerified):
                open_envelope(changed.decode("utf-8", "replace"), KEYS)


def test_nothing_can_be_added_within() -> None:
    envelope = json.loads(sign(STATEMENT, SEED))

    for changed in (
        {**envelope, "more": 1},
        {**envelope, "signatures": envelope["signatures"] * 2},
        {**envelope, "signatures": []},
        {**envelope, "signatures": [{**envelope["signatures"][0], "more": 1}]},
        dict(reversed(envelope.items())),
    ):
        with pytest.raises(NotVerified):
            open_envelope(json.dumps(changed, separators=(",", ":")), KEYS)


def test_another_key_does_not_fit() -> None:
    with pytest.raises(NotVerified, match="signed by another key"):
        open_envelope(sign(STATEMENT, OTHER_SEED), KEYS)


def test_a_signature_under_the_name_of_another_key_does_not_fit() -> None:
    envelope = json.loads(sign(STATEMENT, OTHER_SEED))
    envelope["signatures"][0]["keyid"] = KEYS[0].keyid

    with pytest.raises(NotVerified, match="does not fit its content"):
        open_envelope(json.dumps(envelope, sort_keys=True, separators=(",", ":")), KEYS)


@pytest.mark.parametrize("pem", ["", "nonsense", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "rsa"])
def test_what_is_no_public_key_is_refused(pem: str) -> None:
    if pem == "rsa":
        pem = _openssl("pkey", "-pubout", given=_openssl("genpkey", "-algorithm", "rsa"))

    with pytest.raises(NotVerified):
        read_keys(pem)


def test_an_operator_may_bring_a_key() -> None:
    private = _openssl("genpkey", "-algorithm", "ed25519")

    seed = signing_key_of(Environment({"AIWORKER_SIGNING_KEY": private}))

    assert seed is not None
    assert public_key(seed) == _openssl("pkey", "-pubout", given=private)


@pytest.mark.parametrize("algorithm", [None, "rsa", "x25519"])
def test_a_private_key_of_another_kind_stops_the_start(algorithm: str | None) -> None:
    pem = "nonsense" if algorithm is None else _openssl("genpkey", "-algorithm", algorithm)

    with pytest.raises(Misconfigured, match="AIWORKER_SIGNING_KEY is no Ed25519 private key"):
        signing_key_of(Environment({"AIWORKER_SIGNING_KEY": pem}))


def _openssl(*words: str, given: str = "") -> str:
    return subprocess.run(["openssl", *words], input=given, capture_output=True, text=True, check=True).stdout
