"""With what changes of agents are examined: advisories about packages, and pictures of previews."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from common.settings.environment import Environment

OFF = "off"
NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class ScanSettings:
    advisories_path: Path | None = None
    """A file or folder of advisories about packages, JSON or zip in the OSV format (AIWORKER_ADVISORIES). None:
    dependencies are not looked at, the default, because the platform fetches nothing by itself."""

    @classmethod
    def from_env(cls, env: Environment) -> ScanSettings:
        """Does not look whether the path exists: the doctor does, and it may be mounted later."""
        return cls(advisories_path=env.path("AIWORKER_ADVISORIES"))


@dataclass(frozen=True)
class PictureSettings:
    chromium: str | None = None
    """The browser that takes pictures of previews (AIWORKER_CHROMIUM): a path, or `off` for no pictures. None: the
    first of NAMES on the worker's PATH, the default; where there is none, no pictures are taken."""

    @classmethod
    def from_env(cls, env: Environment) -> PictureSettings:
        """Does not look whether the program exists: the doctor does, and it may be installed later."""
        return cls(chromium=env.text("AIWORKER_CHROMIUM"))

    @property
    def is_off(self) -> bool:
        return self.chromium == OFF

    def program(self) -> Path | None:
        """Where the browser is on this machine now; None: there is none, or none is wanted."""
        if self.is_off:
            return None
        found = next(filter(None, map(shutil.which, [self.chromium] if self.chromium else NAMES)), None)
        return Path(os.path.abspath(found)) if found else None
