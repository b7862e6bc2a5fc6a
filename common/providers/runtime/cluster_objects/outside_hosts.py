"""The addresses of the forge and of AIWORKER_EGRESS_PROXY for network policies, kept for some minutes."""

from __future__ import annotations

import time
from collections.abc import Callable

from common.providers.runtime.cluster_objects.egress_policies import OutsideRules, resolve_outside_rules

CACHE_SECONDS = 120.0


class CachedOutsideRules:
    """Resolves the two hosts again after CACHE_SECONDS: their addresses may change.

    While a name server is away, the last addresses stay. Threads may share it.
    """

    def __init__(
        self, forge_url: str | None, proxy_url: str | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._urls = forge_url, proxy_url
        self._clock = clock
        self._kept: tuple[float, OutsideRules] | None = None

    def rules(self) -> OutsideRules:
        kept = self._kept
        if kept is not None and self._clock() - kept[0] < CACHE_SECONDS:
            return kept[1]
        found = resolve_outside_rules(*self._urls)
        if kept is not None:
            found = OutsideRules(found.forge or kept[1].forge, found.proxy or kept[1].proxy)
        self._kept = self._clock(), found
        return found
