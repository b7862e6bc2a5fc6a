"""Passwords: hashing with argon2, comparison in constant time, and rejection of those that are easy to guess.

Independent of the users table: callers pass the words that a user's password must not consist of.
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
"""Lowest accepted score of zxcvbn, from 0 to 4. A password below 2 can be guessed in fewer than a million tries."""
MOST_ESTIMATED = 72
"""Characters that zxcvbn judges, as its run time grows faster than the length. Longer passwords are judged by these."""

# 32 ms on a small machine; the library's default (64 MiB, four lanes) is ten times that.
_hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)


def hash_new(password: str, *, about: Sequence[str], field: str = "password") -> str:
    """The hash of a password that a person chose. Invalid (naming `field`) if it is too short, too long or well known.

    about: words about its owner, such as the username, that a guesser would try.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise Invalid(field, f"Must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    if is_well_known(password, about=about):
        raise Invalid(field, "Is too easy to guess; choose several unrelated words")
    return hash_given(password)


def hash_given(password: str) -> str:
    """The hash of a generated password, or of one that the operator configured. It is not checked."""
    return _hasher.hash(password)


def is_well_known(password: str, *, about: Sequence[str]) -> bool:
    """Whether a guesser with lists of common passwords and words finds the password within a million guesses."""
    # Loading zxcvbn with its word lists takes 70 ms, so it is imported only when a password is chosen.
    estimate = importlib.import_module("zxcvbn").zxcvbn(password[:MOST_ESTIMATED], user_inputs=["aiworker", *about])
    return bool(estimate["score"] < LEAST_SCORE)


def matches(password_hash: str | None, password: str) -> bool:
    """Whether the password matches the hash. None: there is no such user; the answer, False, takes equally long."""
    try:
        return _hasher.verify(_dummy_hash() if password_hash is None else password_hash, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


@functools.cache
def _dummy_hash() -> str:
    return _hasher.hash(secrets.token_urlsafe())
