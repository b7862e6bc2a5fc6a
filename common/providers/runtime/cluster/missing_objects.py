"""Objects in a cluster that are put back if somebody deleted them: an app's entrances, and a namespace's limits."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.runtime.cluster.client import Cluster
from common.providers.runtime.cluster_objects import names
from common.providers.runtime.cluster_objects.types import KubeObject

LOOK_INTERVAL_SECONDS = 60.0
"""How often at most one process looks for the objects of a group."""


class MissingObjects:
    """Knows when it looked last, and nothing else: another process, or this one after a restart, looks once more."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._looked_at: dict[str, float] = {}

    def put_back(self, group: str, manifests: Callable[[], Sequence[KubeObject]]) -> bool:
        """Put back what is missing of these objects. group: names them. Returns whether something was missing.

        What exists is not changed, as an operator may have changed it on purpose.
        """
        if group in self._looked_at and time.monotonic() - self._looked_at[group] < LOOK_INTERVAL_SECONDS:
            return False
        put_back = [self._put_back(manifest) for manifest in manifests()]
        # Only now: what could not be put back is looked for again at the next call.
        self.note_complete(group)
        return any(put_back)

    def note_complete(self, group: str) -> None:
        """Nothing of the group is missing now."""
        now = time.monotonic()
        self._looked_at = {one: at for one, at in self._looked_at.items() if now - at < LOOK_INTERVAL_SECONDS} | {
            group: now
        }

    def _put_back(self, manifest: KubeObject) -> bool:
        """Apply the object if it is missing, and return whether it was.

        Whether it could be created is asked by a dry run: the account has no right to read these kinds. Where the
        cluster does not tell, nothing is done; where an admission webhook allows no dry run, it may have been missing.
        """
        path = names.path_of(manifest)
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
