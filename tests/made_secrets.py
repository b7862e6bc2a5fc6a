"""Secrets that open nothing, made when a test runs: no text of this repository looks like one."""

from __future__ import annotations

import random
import string

CAPITALS = string.ascii_uppercase + "234567"
LETTERS = string.ascii_letters + string.digits


def random_text(characters: str, length: int, *, seed: int = 7) -> str:
    """The same random text for the same seed."""
    return "".join(random.Random(seed).choices(characters, k=length))


def aws_key_id() -> str:
    return "AK" + "IA" + random_text(CAPITALS, 16)


def github_token() -> str:
    return "gh" + "p_" + random_text(LETTERS, 36)


def private_key(kind: str = "RSA ") -> str:
    body = "\n".join(random_text(LETTERS + "+/", 64, seed=row) for row in range(8))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"


def password(length: int = 28) -> str:
    return random_text(LETTERS, length - 4) + "a4b7"
