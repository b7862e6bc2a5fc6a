"""The head of a project's default branch, which a person may have renamed or deleted at the forge."""

from __future__ import annotations

from common.errors import ProviderRefused
from common.providers.forge import Forge
from common.values.delivery.project_location import ProjectLocation


class NoDefaultBranch(ProviderRefused):
    """Somebody renamed or deleted the project's default branch at the forge. The message says what to do."""


def default_head(forge: Forge, location: ProjectLocation) -> str:
    """Return the head of the project's default branch. Raises NoDefaultBranch."""
    head = forge.read_head(location.repository, location.default_branch)
    if head is not None:
        return head
    wanted, shown = location.default_branch, forge.read_default_branch(location.repository)
    remedy = f"make a branch {wanted} at the commit to build on"
    if shown != wanted:
        remedy = f"the forge's default branch is {shown} now: rename {shown} back to {wanted} there, or {remedy}"
    raise NoDefaultBranch(f"the default branch {wanted} does not exist any more; {remedy}", code="no_branch")
