"""Rollback barriers: a version that changes data irreversibly declares in a file how far back a rollback may go.

The file is `.aiworker/rollback.yml`:

    oldest: this            # only versions with an identical file; or a full commit SHA: only versions that contain it
    reason: Migration 12 drops the column that older versions read

An invalid file, or a link in its place, blocks every rollback, because its intention is unknown. A commit that the
repository has lost is always blocked: what it declared is unknown, and it can't be deployed. A version's declaration
stays valid after it: a later version without the file, or with another one, does not revoke it
(common/services/deployment/versions.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from posixpath import dirname

import yaml

from common.errors import ProviderRefused
from common.providers.forge import Forge
from common.values.delivery.rollback_barrier import Barrier
from common.values.names import SHA_PATTERN
from common.values.repository import Repository

PATH = ".aiworker/rollback.yml"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, where there is one: it refuses deep nesting at once, for which the other takes seconds."""
_NO_YAML = (yaml.YAMLError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What PyYAML raises for a text: besides its own errors those of Python, where a value does not fit its tag, or of
nesting."""


def read_barrier(forge: Forge, repository: Repository, commit: str, older: Sequence[str]) -> Barrier | None:
    """Return which of the older commits a rollback may not deploy; None if the commit declares nothing."""
    try:
        declared = forge.read_file(repository, commit=commit, path=PATH)
        if declared is None:
            _require_no_link(forge, repository, commit)
            return None
        oldest, reason = _parse(declared)
    except ValueError as error:
        return Barrier(f"{PATH} can't be understood: {error}", tuple(older))
    except ProviderRefused as error:
        if error.code != "too_large":
            raise
        return Barrier(f"{PATH} can't be understood: {error}", tuple(older))
    if oldest == "this":
        blocked = [sha for sha in older if not _declares(forge, repository, sha, declared)]
    else:
        blocked = [sha for sha in older if not _contains(forge, repository, oldest, sha)]
    return Barrier(reason, tuple(blocked))


def _require_no_link(forge: Forge, repository: Repository, commit: str) -> None:
    """Raise ValueError if the file, or its folder, is a link. What that leads to may declare something."""
    # Names that begin with a dot are among the first.
    for entry in forge.list_files(repository, commit=commit).entries:
        if entry.path in {PATH, dirname(PATH)} and entry.leads_elsewhere:
            raise ValueError(f"{entry.path} is a link")


def _parse(declared: bytes) -> tuple[str, str]:
    try:
        content = yaml.load(declared, Loader=_LOADER)  # noqa: S506 (both are safe loaders)
    except _NO_YAML as error:
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


def _declares(forge: Forge, repository: Repository, commit: str, declared: bytes) -> bool:
    try:
        return forge.read_file(repository, commit=commit, path=PATH) == declared
    except ProviderRefused as error:
        if error.code not in {"no_commit", "too_large"}:
            raise
        return False


def _contains(forge: Forge, repository: Repository, ancestor: str, head: str) -> bool:
    try:
        return forge.contains(repository, ancestor=ancestor, head=head)
    except ProviderRefused as error:
        if error.code != "no_commit":
            raise
        return False
