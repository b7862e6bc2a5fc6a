"""Whether the advisories that the operator provides can be read. Reads all of them."""

from __future__ import annotations

from collections.abc import Iterator

from common.errors import ProviderUnavailable
from common.providers.advisories import examine
from common.settings import ScanSettings
from common.values.finding import Finding

PART = "advisories"


def examine_advisories(chosen: ScanSettings) -> Iterator[Finding]:
    """One finding; none without AIWORKER_ADVISORIES. Reading 100,000 advisories takes some seconds."""
    if chosen.advisories_path is None:
        return
    try:
        total, counts = examine(chosen.advisories_path)
    except ProviderUnavailable as error:
        yield Finding("fail", PART, f"{error}; until it is mended, no dependency is compared")
        return
    named = ", ".join(f"{ecosystem} {count}" for ecosystem, count in sorted(counts.items()))
    yield Finding("ok", PART, f"{total} at {chosen.advisories_path}: {named}")
