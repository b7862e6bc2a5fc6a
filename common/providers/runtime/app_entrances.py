"""What leads to an app in a cluster (its Ingress, Service and NetworkPolicy), put back if somebody deleted it."""

from __future__ import annotations

import time

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.runtime import places
from common.providers.runtime.kube import Cluster
from common.providers.runtime.manifests import Manifests
from common.providers.runtime.objects import KubeObject
from common.values.app import App

LOOK_SECONDS = 60.0
"""How often at most one process looks for what leads to an app."""


class AppEntrances:
    """Knows when it looked last, and nothing else: another process, or this one after a restart, looks once more."""

    def __init__(self, cluster: Cluster, manifests: Manifests) -> None:
        self._cluster = cluster
        self._manifests = manifests
        self._looked_at: dict[tuple[str, str], float] = {}

    def ensure(self, app: App, url: str) -> bool:
        """Put back what is missing, for the address that the app has. Returns whether something was.

        What exists is not changed, as an operator may have changed it on purpose.
        """
        key, now = (app.space.namespace, app.name), time.monotonic()
        if key in self._looked_at and now - self._looked_at[key] < LOOK_SECONDS:
            return False
        self._looked_at = {one: at for one, at in self._looked_at.items() if now - at < LOOK_SECONDS} | {key: now}
        missing = [manifest for manifest in self._manifests.entrances(app, url) if self._is_missing(manifest)]
        for manifest in missing:
            self._cluster.apply(places.path_of(manifest), manifest)
        return bool(missing)

    def _is_missing(self, manifest: KubeObject) -> bool:
        """Whether the object could be created, by a dry run: the account has no right to read these kinds.

        False if the cluster does not tell, such as with an admission webhook that allows no dry run.
        """
        collection = places.path_of(manifest).rpartition("/")[0]
        try:
            return self._cluster.create(collection, manifest, is_trial=True) is not None
        except (ProviderRefused, ProviderUnavailable):
            return False
