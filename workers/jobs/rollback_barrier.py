"""Rollback barriers: a version that changes data irreversibly declares in a file how far back a rollback may go.

The file is `.aiworker/rollback.yml`:

    oldest: this            # only versions with an identical file; or a full commit SHA: only versions that contain it
    reason: Migration 12 drops the column that older versions read

An invalid file blocks every rollback, because its intention is unknown. A version's declaration stays valid after it:
a later version without the file, or with another one, does not revoke it (common/services/delivery/versions.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from common.errors import ProviderRefused
from common.names import SHA_PATTERN
from common.providers.forge import Forge
from common.values.barrier import Barrier
from common.values.repository import Repository

PATH = ".aiworker/rollback.yml"


def read_barrier(forge: Forge, repository: Repository, commit: str, older: Sequence[str]) -> Barrier | None:
    """Return which of the older commits a rollback may not deploy; None if the commit declares nothing."""
    declared = forge.read_file(repository, commit=commit, path=PATH)
    if declared is None:
        return None
    try:
        oldest, reason = _parse(declared)
    except ValueError as error:
        return Barrier(f"{PATH} can't be understood: {error}", tuple(older))
    if oldest == "this":
        blocked = [sha for sha in older if forge.read_file(repository, commit=sha, path=PATH) != declared]
    else:
        blocked = [sha for sha in older if not _contains(forge, repository, oldest, sha)]
    return Barrier(reason, tuple(blocked))


def _parse(declared: bytes) -> tuple[str, str]:
    try:
        content = yaml.safe_load(declared)
    except yaml.YAMLError as error:
        raise ValueError("it is not YAML") from error
    if not isinstance(content, dict):
        raise ValueError("it is not a mapping of oldest and reason")
    oldest, reason = content.get("oldest", "this"), content.get("reason")
    if isinstance(oldest, int):
        # A SHA may be all digits.
        oldest = str(oldest)
    # Checked before it is converted to text: nested YAML references may expand to gigabytes.
    if not isinstance(oldest, str) or (oldest != "this" and not SHA_PATTERN.fullmatch(oldest)):
        raise ValueError("oldest is neither `this` nor a full commit SHA")
    if isinstance(reason, dict | list | tuple | set):
        raise ValueError("reason is not text")
    return oldest, str(reason or "the version declares that its data changes can't be undone")


def _contains(forge: Forge, repository: Repository, ancestor: str, head: str) -> bool:
    try:
        return forge.contains(repository, ancestor=ancestor, head=head)
    except ProviderRefused as error:
        if error.code != "no_commit":
            raise
        return False
