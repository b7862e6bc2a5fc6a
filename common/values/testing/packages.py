"""A released package that a lock file names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Package:
    """ecosystem: as in the OSV schema, such as `PyPI`. name: as that ecosystem compares names. version: as written."""

    ecosystem: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.ecosystem})"
