"""What is searched in the changes of a proof: secrets, and dependencies with known faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ON_FINDINGS = ("refuse", "warn", "off")
SECRETS, DEPENDENCIES = "secrets", "dependencies"
"""Names of the checks."""
SCANS = (SECRETS, DEPENDENCIES)
FOUND = frozenset({"secrets_found", "known_faults"})
"""Codes of checks with findings, which a person may let go by name."""


@dataclass(frozen=True)
class ScanPlan:
    """secrets, dependencies: one of ON_FINDINGS; `off` also where the run's commit was already searched.

    accepted: names of findings that a person lets go. known: the project's secret variables, name to value.
    """

    secrets: str = "off"
    dependencies: str = "off"
    accepted: frozenset[str] = frozenset()
    known: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_due(self) -> bool:
        return {self.secrets, self.dependencies} != {"off"}


def names_in(log: str | None) -> dict[str, None]:
    """The names of the findings in a check's log, which has a line `name: place` for each place, in their order."""
    return dict.fromkeys(line.partition(": ")[0] for line in (log or "").splitlines())
