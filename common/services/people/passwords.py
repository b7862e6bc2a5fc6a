"""Passwords: hashed with argon2, compared in constant effort, and refused where anybody would guess them.

Knows nothing of users but the words of theirs that a password must not be made of.
"""

from __future__ import annotations

import functools
import importlib
import secrets
from collections.abc import Sequence

import argon2
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from common.errors import Invalid

SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 256
LEAST_SCORE = 2
"""zxcvbn's scale from 0 to 4: below 2 it takes fewer than a million guesses, which is to say that it is well known."""
MOST_ESTIMATED = 72
"""What zxcvbn takes; its effort grows faster than the length. Longer passwords are judged by their beginning."""

# 32 ms on a small machine; the library's default (64 MiB, four lanes) is ten times that.
_hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)


def hash_new(password: str, *, about: Sequence[str], field: str = "password") -> str:
    """The hash of a password that somebody chose. Invalid (naming `field`) if it is too short, too long or well known.

    about: words of its owner's, such as the username, which count as known.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise Invalid(field, f"Must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    if is_well_known(password, about=about):
        raise Invalid(field, "Is too easy to guess; choose some words that have nothing to do with each other")
    return hash_given(password)


def hash_given(password: str) -> str:
    """The hash of a password that was made by chance or given by the operator: it is not judged."""
    return _hasher.hash(password)


def is_well_known(password: str, *, about: Sequence[str]) -> bool:
    """Whether a guesser with lists of common passwords and words finds it within a million guesses."""
    # Loads in 70 ms, lists of words and all: only who chooses a password pays for it.
    estimate = importlib.import_module("zxcvbn").zxcvbn(password[:MOST_ESTIMATED], user_inputs=["aiworker", *about])
    return bool(estimate["score"] < LEAST_SCORE)


def matches(password_hash: str | None, password: str) -> bool:
    """Whether this is the password. None: there is no such user, and the answer takes as long as for one."""
    try:
        return _hasher.verify(_nobodys_hash() if password_hash is None else password_hash, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


@functools.cache
def _nobodys_hash() -> str:
    return _hasher.hash(secrets.token_urlsafe())
