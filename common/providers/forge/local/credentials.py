"""Credentials of runs on the local forge: each may read a repository and push one branch of it.

Only hashes are stored. A password is 256 random bits, so its plain SHA-256 can't be reversed by guessing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

from common.providers.forge.local.records import changing_record, read_record
from common.values.repository import Credential


def ensure(record_path: Path, *, branch: str, run_id: str) -> Credential:
    """Create a new password with which this run may push this branch; replaces the run's previous password."""
    credential = Credential(username=f"run-{run_id}", password=secrets.token_urlsafe(32))
    with changing_record(record_path) as record:
        record[run_id] = {"branch": branch, "hash": _hash(credential.password)}
    return credential


def delete(record_path: Path, *, run_id: str) -> None:
    """Delete the run's credential. Safe to repeat."""
    with changing_record(record_path) as record:
        record.pop(run_id, None)


def check(record_path: Path, username: str, password: str) -> str | None:
    """Return the branch that this credential may push; None if it is not a credential of this repository."""
    kept = read_record(record_path).get(username.removeprefix("run-")) if username.startswith("run-") else None
    # An unknown name takes the same steps as a wrong password, so timing does not reveal which names exist.
    is_right = hmac.compare_digest(_hash(password), kept["hash"] if kept else "0" * 64)
    return str(kept["branch"]) if kept and is_right else None


def is_of_run(username: str) -> bool:
    """Whether this is the user name of a run's credential."""
    return username.startswith("run-")


def _hash(password: str) -> str:
    return hashlib.sha256(password.encode("utf-8", "surrogatepass")).hexdigest()
