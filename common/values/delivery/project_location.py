"""Where a project is: its repository at the forge and its namespace in the runtime."""

from __future__ import annotations

from dataclasses import dataclass

from common.values.delivery.app import ProjectNamespace
from common.values.repository import Repository


@dataclass(frozen=True)
class ProjectLocation:
    """Identifies a project at the forge and in the runtime. is_restricted: only its members may see it."""

    repository: Repository
    space: ProjectNamespace
    default_branch: str
    is_restricted: bool = False

    @property
    def project_id(self) -> str:
        return self.repository.project_id
