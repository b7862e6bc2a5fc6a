"""What leads to an app in a cluster (its Ingress, Service and NetworkPolicy), put back if somebody deleted it."""

from __future__ import annotations

import contextlib
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
        put_back = [self._put_back(manifest) for manifest in self._manifests.entrances(app, url)]
        return any(put_back)

    def _put_back(self, manifest: KubeObject) -> bool:
        """Apply the object if it is missing, and return whether it was.

        Whether it could be created is asked by a dry run: the account has no right to read these kinds. Where the
        cluster does not tell, nothing is done; where an admission webhook allows no dry run, it may have been missing.
        """
        path = places.path_of(manifest)
        try:
            if self._cluster.create(path.rpartition("/")[0], manifest, is_trial=True) is None:
                return False
        except ProviderUnavailable:
            return False
        except ProviderRefused as error:
            if error.code != "no_dry_run":
                return False
            # Changes nothing if it is there as it was applied. A conflict is about a field that an operator changed.
            with contextlib.suppress(ProviderUnavailable):
                self._cluster.apply(path, manifest)
            return True
        self._cluster.apply(path, manifest)
        return True
