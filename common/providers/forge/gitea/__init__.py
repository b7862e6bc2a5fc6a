"""A forge on a Gitea or Forgejo server."""

from common.providers.forge.gitea.forge import GiteaForge

__all__ = ["GiteaForge"]
