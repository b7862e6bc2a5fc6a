"""With what the changes of agents are compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common.settings.environment import Environment


@dataclass(frozen=True)
class ScanSettings:
    advisories_path: Path | None = None
    """A file or folder of advisories about packages, JSON or zip in the OSV format (AIWORKER_ADVISORIES). None:
    dependencies are not looked at, the default, because the platform fetches nothing by itself."""

    @classmethod
    def from_env(cls, env: Environment) -> ScanSettings:
        """Does not look whether the path exists: the doctor does, and it may be mounted later."""
        return cls(advisories_path=env.path("AIWORKER_ADVISORIES"))
