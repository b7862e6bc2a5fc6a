"""The checks that search the changes of a claimed commit: for secrets, and for dependencies with known faults.

They run once for each claim, before its tests. What they find, a person may let go by name.
"""

from __future__ import annotations

from collections.abc import Iterator

from common.providers.forge import Forge
from common.services.proof.verification import CheckResult, ProofPlan
from workers.proof.forge.forge_checks import read_changes
from workers.proof.scans.dependencies import check_dependencies
from workers.proof.scans.secrets import check_secrets


def scan(forge: Forge, plan: ProofPlan) -> Iterator[CheckResult]:
    """Yield the checks that are due. Raises ProviderUnavailable if the advisories can't be read and are not to be
    passed over."""
    if not plan.scans.is_due:
        return
    changes = read_changes(forge, plan.location.repository, plan)
    if plan.scans.secrets != "off":
        yield check_secrets(forge, plan.location.repository, changes, plan.scans)
    if plan.scans.dependencies != "off":
        yield check_dependencies(forge, plan, changes)
