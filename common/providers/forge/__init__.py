"""The forge of this process, and the words of its protocol. Nobody outside this package names an implementation."""

from __future__ import annotations

import functools

from common.errors import Misconfigured
from common.providers.forge.bare import BareForge
from common.providers.forge.import_address import check_import_address
from common.providers.forge.protocol import (
    Comment,
    Credential,
    Diff,
    FileDiff,
    Forge,
    MergeConflict,
    Merged,
    PullRequest,
    PullState,
    Repository,
    RepositoryState,
    Source,
)
from common.settings import settings

__all__ = [
    "BareForge",
    "Comment",
    "Credential",
    "Diff",
    "FileDiff",
    "Forge",
    "MergeConflict",
    "Merged",
    "PullRequest",
    "PullState",
    "Repository",
    "RepositoryState",
    "Source",
    "check_import_address",
    "forge",
    "local_forge",
]


def forge() -> Forge:
    """The forge that the settings name, made once in each process. Misconfigured if it can't be had."""
    return local_forge()


@functools.cache
def local_forge() -> BareForge:
    """The local forge, for what only it has: repositories that this program itself serves over HTTP.

    Misconfigured where the settings name another kind. `local_forge.cache_clear()` makes it anew.
    """
    chosen = settings()
    if chosen.forge.kind != "local":
        raise Misconfigured(
            f"AIWORKER_FORGE={chosen.forge.kind} is not built in yet; set AIWORKER_FORGE=local or leave it out"
        )
    return BareForge(
        chosen.forge.repositories_dir,
        public_url=chosen.web.public_url,
        internal_url=chosen.web.internal_url,
        import_allow=chosen.forge.import_allow,
    )
