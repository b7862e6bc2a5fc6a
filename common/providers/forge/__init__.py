"""The forge of this process and the types of its protocol. Code outside this package imports no implementation."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING

from common.errors import Misconfigured
from common.providers.forge.forge_protocol import (
    Blob,
    Change,
    Commit,
    Commits,
    Diff,
    Entry,
    FileDiff,
    Forge,
    Importable,
    Listing,
    MergeConflict,
    Merged,
    RepositoryState,
)
from common.providers.forge.git import ZERO_SHA
from common.providers.forge.import_address import check_import_address
from common.providers.forge.local.forge import BareForge
from common.settings import settings

if TYPE_CHECKING:
    from common.providers.forge.gitea import GiteaForge

__all__ = [
    "ZERO_SHA",
    "BareForge",
    "Blob",
    "Change",
    "Commit",
    "Commits",
    "Diff",
    "Entry",
    "FileDiff",
    "Forge",
    "Importable",
    "Listing",
    "MergeConflict",
    "Merged",
    "RepositoryState",
    "check_import_address",
    "forge",
    "gitea_forge",
    "is_of_forge",
    "local_forge",
    "webhook_secret",
]


def forge() -> Forge:
    """Return the forge that the settings choose, created once per process. Raises Misconfigured if they are wrong."""
    return gitea_forge() if settings().forge.kind == "gitea" else local_forge()


def is_of_forge(url: str) -> bool:
    """Whether the address is of the server that the platform's forge is on. The local forge has none."""
    server = settings().forge.gitea_url if settings().forge.kind == "gitea" else None
    return server is not None and url.startswith(f"{server}/")


@functools.cache
def gitea_forge() -> GiteaForge:
    """Return the forge on the Gitea server of the settings, created once. `gitea_forge.cache_clear()` resets it."""
    chosen = settings()
    if chosen.forge.gitea_url is None or chosen.forge.gitea_token is None:
        raise Misconfigured("AIWORKER_FORGE=gitea needs GITEA_URL and GITEA_TOKEN")
    # Its HTTP client is imported only where Gitea is used.
    gitea = importlib.import_module("common.providers.forge.gitea")
    made: GiteaForge = gitea.GiteaForge(
        chosen.forge.gitea_url,
        chosen.forge.gitea_token,
        mirrors=chosen.forge.mirrors_dir,
        webhook_url=chosen.forge.webhook_url,
        webhook_secret=webhook_secret(),
        import_allow=chosen.forge.import_allow,
    )
    return made


def webhook_secret() -> str:
    """Return the key that Gitea signs webhook deliveries with. Derived from the secret key, so it is never stored."""
    return settings().security.key_for("gitea-webhook").hex()


@functools.cache
def local_forge() -> BareForge:
    """Return the local forge, whose repositories this program itself serves over HTTP.

    Raises Misconfigured if the settings choose another kind. `local_forge.cache_clear()` resets it.
    """
    chosen = settings()
    if chosen.forge.kind != "local":
        raise Misconfigured(
            f"with AIWORKER_FORGE={chosen.forge.kind} this server has no repositories; clone from the forge instead"
        )
    return BareForge(
        chosen.forge.repositories_dir,
        public_url=chosen.web.public_url,
        internal_url=chosen.web.internal_url,
        import_allow=chosen.forge.import_allow,
    )
