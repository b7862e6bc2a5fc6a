"""Runs' credentials on the local forge: who may push which one branch of a repository.

Only hashes are kept. A password is 256 random bits, so a plain SHA-256 of it can't be guessed back.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

from common.providers.forge.records import changing_record, read_record
from common.values.repository import Credential


def ensure(record_path: Path, *, branch: str, run_id: str) -> Credential:
    """A new password for this run, good for this branch; the run's last one is good no more."""
    credential = Credential(username=f"run-{run_id}", password=secrets.token_urlsafe(32))
    with changing_record(record_path) as record:
        record[run_id] = {"branch": branch, "hash": _hash(credential.password)}
    return credential


def delete(record_path: Path, *, run_id: str) -> None:
    """The run has no credential. Safe to repeat."""
    with changing_record(record_path) as record:
        record.pop(run_id, None)


def check(record_path: Path, username: str, password: str) -> str | None:
    """The branch that this credential may push, None if it is no credential of this repository."""
    kept = read_record(record_path).get(username.removeprefix("run-")) if username.startswith("run-") else None
    # An unknown name takes the same steps as a wrong password, so the time taken tells nothing.
    is_right = hmac.compare_digest(_hash(password), kept["hash"] if kept else "0" * 64)
    return str(kept["branch"]) if kept and is_right else None


def is_of_run(username: str) -> bool:
    """Whether some run's credential has this name."""
    return username.startswith("run-")


def _hash(password: str) -> str:
    return hashlib.sha256(password.encode("utf-8", "surrogatepass")).hexdigest()
