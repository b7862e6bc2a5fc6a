"""The namespaces of projects in a cluster, with their limits. A namespace of another project is never touched."""

from __future__ import annotations

import contextlib

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.runtime.cluster.client import Cluster
from common.providers.runtime.cluster.missing_objects import MissingObjects
from common.providers.runtime.cluster_objects import names
from common.providers.runtime.cluster_objects.manifests import Manifests
from common.providers.runtime.cluster_objects.types import KubeObject, is_being_deleted
from common.values.delivery.app import ProjectNamespace


class Namespaces:
    """Reads, ensures and deletes them. Keeps no state of its own."""

    def __init__(self, cluster: Cluster, manifests: Manifests, missing: MissingObjects, *, instance: str) -> None:
        self._cluster = cluster
        self._manifests = manifests
        self._missing = missing
        self._instance = instance

    def is_there(self, space: ProjectNamespace) -> bool:
        return self.read(space) is not None

    def read(self, space: ProjectNamespace, *, for_writing: bool = False) -> KubeObject | None:
        """Return the project's namespace; None if it does not exist or is being deleted.

        Raises ProviderRefused (`foreign`) if the namespace is not this project's, and, with for_writing,
        ProviderUnavailable while it is being deleted.
        """
        found = self._cluster.read(names.path("namespaces", names.name("namespace", space.namespace)))
        if found is None:
            return None
        marks = found["metadata"].get("labels", {})
        wanted = names.labels(self._instance, space)
        if any(marks.get(name) != value for name, value in wanted.items()):
            raise ProviderRefused(
                f"the namespace {space.namespace} exists and does not belong to project {space.project_id}",
                code="foreign",
            )
        if is_being_deleted(found):
            if for_writing:
                raise ProviderUnavailable(f"the namespace {space.namespace} is still being deleted")
            return None
        return found

    def ensure(self, space: ProjectNamespace) -> None:
        """Create or update the namespace with its limits."""
        # Applied even if the namespace exists, so that additions of a newer AiWorker reach old projects.
        self.read(space, for_writing=True)
        self._apply(self._manifests.namespace(space))
        for manifest in self._manifests.limits(space):
            self._apply(manifest)
        self._apply(self._manifests.namespace(space, has_limits=True))
        self._missing.note_complete(space.namespace)

    def prepare(self, space: ProjectNamespace) -> None:
        """Ensure the namespace and its limits, and update these if this AiWorker would write different ones."""
        found = self.read(space, for_writing=True)
        if found is None:
            self.ensure(space)
        elif found["metadata"].get("annotations", {}).get(names.LIMITS) != self._manifests.limits_mark(space):
            # Another field manager, such as an operator, may own a field, such as the quota. This conflict must not
            # keep apps from running.
            with contextlib.suppress(ProviderUnavailable):
                self.ensure(space)
        else:
            self.put_back_limits(space)

    def put_back_limits(self, space: ProjectNamespace) -> None:
        """Put back those of the existing namespace's limits that somebody deleted, such as a network policy."""
        self._missing.put_back(space.namespace, lambda: self._manifests.limits(space))

    def delete(self, space: ProjectNamespace) -> None:
        if self.is_there(space):
            self._cluster.delete(names.path("namespaces", space.namespace))

    def _apply(self, manifest: KubeObject) -> None:
        self._cluster.apply(names.path_of(manifest), manifest)
