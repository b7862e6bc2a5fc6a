"""The forge of this process, and the words of its protocol. Nobody outside this package names an implementation."""

from __future__ import annotations

import functools

from common.errors import Misconfigured
from common.providers.forge.bare import BareForge
from common.providers.forge.git import ZERO_SHA
from common.providers.forge.gitea import GiteaForge
from common.providers.forge.import_address import check_import_address
from common.providers.forge.protocol import (
    Blob,
    Change,
    Diff,
    Entry,
    FileDiff,
    Forge,
    Listing,
    MergeConflict,
    Merged,
    RepositoryState,
)
from common.settings import settings

__all__ = [
    "ZERO_SHA",
    "BareForge",
    "Blob",
    "Change",
    "Diff",
    "Entry",
    "FileDiff",
    "Forge",
    "GiteaForge",
    "Listing",
    "MergeConflict",
    "Merged",
    "RepositoryState",
    "check_import_address",
    "forge",
    "gitea_forge",
    "local_forge",
    "webhook_secret",
]


def forge() -> Forge:
    """The forge that the settings name, made once in each process. Misconfigured if it can't be had."""
    return gitea_forge() if settings().forge.kind == "gitea" else local_forge()


@functools.cache
def gitea_forge() -> GiteaForge:
    """The forge on the Gitea server that the settings name. `gitea_forge.cache_clear()` makes it anew."""
    chosen = settings()
    if chosen.forge.gitea_url is None or chosen.forge.gitea_token is None:
        raise Misconfigured("AIWORKER_FORGE=gitea needs GITEA_URL and GITEA_TOKEN")
    return GiteaForge(
        chosen.forge.gitea_url,
        chosen.forge.gitea_token,
        mirrors=chosen.forge.mirrors_dir,
        webhook_url=chosen.forge.webhook_url,
        webhook_secret=webhook_secret(),
        import_allow=chosen.forge.import_allow,
    )


def webhook_secret() -> str:
    """What Gitea signs its deliveries with: derived from the secret key, so it is written down nowhere else."""
    return settings().security.key_for("gitea-webhook").hex()


@functools.cache
def local_forge() -> BareForge:
    """The local forge, for what only it has: repositories that this program itself serves over HTTP.

    Misconfigured where the settings name another kind. `local_forge.cache_clear()` makes it anew.
    """
    chosen = settings()
    if chosen.forge.kind != "local":
        raise Misconfigured(
            f"with AIWORKER_FORGE={chosen.forge.kind} no repository is served from here; the forge's own address is"
        )
    return BareForge(
        chosen.forge.repositories_dir,
        public_url=chosen.web.public_url,
        internal_url=chosen.web.internal_url,
        import_allow=chosen.forge.import_allow,
    )
