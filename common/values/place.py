"""Where a project's things are: its repository at the forge and its space in the runtime."""

from __future__ import annotations

from dataclasses import dataclass

from common.values.app import Space
from common.values.repository import Repository


@dataclass(frozen=True)
class Place:
    """Everything that names a project to a forge and a runtime. is_restricted: only its members may see it."""

    repository: Repository
    space: Space
    default_branch: str
    is_restricted: bool = False

    @property
    def project_id(self) -> str:
        return self.repository.project_id
